"""``vigil``, and ``python -m vigil``: the command line, or what can still be said where its libraries cannot be imported."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. The standard library alone until the command line is there: a broken library is a sentence."""
    try:
        from vigil.cli.main import main as command_line
    except ImportError as error:
        sys.exit(_without_libraries(error))
    command_line()


def _without_libraries(error: ImportError) -> int:
    from vigil.oversight.doctor.check import error as wrong
    from vigil.oversight.doctor.check import exit_code, in_lines
    from vigil.oversight.doctor.libraries import INSTALL_AGAIN, default_site_packages, look_in_folder, pins

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    checks = [wrong("libraries", error.name or "a library", f"cannot be imported ({error})", INSTALL_AGAIN)]
    if "doctor" in sys.argv[1:2]:
        checks += look_in_folder(default_site_packages(version), pins(version))
    print(in_lines(checks), file=sys.stderr)
    return exit_code(checks)


if __name__ == "__main__":
    main()
