"""The "vigil" command."""
