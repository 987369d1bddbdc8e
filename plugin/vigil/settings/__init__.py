"""The "Vigil" section of orthanc.json as typed models."""
