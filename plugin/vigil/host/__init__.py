"""Everything that knows Orthanc. The only code that imports orthanc."""
