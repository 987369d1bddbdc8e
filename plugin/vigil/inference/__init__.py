"""Installed models: registry, hashes, sessions, pre- and postprocessing."""
