"""Makes the bundle: one archive that installs without a network."""
