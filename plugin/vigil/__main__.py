"""``python -m vigil``."""

from vigil.cli.main import main

main()
