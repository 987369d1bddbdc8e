"""``vigil doctor``: looks at a site from outside, whether Orthanc runs or not, and says what is wrong with the cure beside it.

:mod:`vigil.oversight.doctor.libraries` needs the standard library alone: it is what is asked when a library is missing.
"""
