"""Vigil for Orthanc: the approved imaging models of a site, run inside the Orthanc that it already has."""

__version__ = "0.1.0"
