"""Puts Vigil into an Orthanc that is there, and takes it out again. The standard library alone: nothing is installed yet."""
