"""An Orthanc that can speak HTTPS, where the distribution's cannot (:mod:`vigil.oversight.doctor.web_server`)."""

from __future__ import annotations

from pathlib import Path

from vigil.oversight.doctor.web_server import FUNCTION, LIBRARY, failing_library

INSTEAD = "SSL_get_psk_identity"
"""Takes the same argument, and answers nothing where no key was agreed on before: "no client certificate"."""


def web_server_that_works(folder: Path) -> dict[str, str]:
    """The environment for Orthanc: with a copy of its web server's library that asks OpenSSL for a function which it has.
    Empty where the distribution's works. All else is the distribution's own, the check of certificates too."""
    library = failing_library()
    if library is None:
        return {}
    wanted = f"\0{FUNCTION}\0".encode()
    content = library.read_bytes()
    assert content.count(wanted) == 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LIBRARY).write_bytes(content.replace(wanted, f"\0{INSTEAD}".encode().ljust(len(wanted), b"\0")))
    return {"LD_LIBRARY_PATH": str(folder)}
