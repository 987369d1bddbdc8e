"""The door: the file that Orthanc's "PythonScript" names. Whatever is broken behind it, Orthanc starts, stores and answers.

An exception that left this file would make Orthanc exit, so everything is caught here, logged, and told at /vigil/health/ready.
A site with a script of its own does not name this file but calls ``install`` at its end (docs/operator.md).
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import orthanc

HERE = Path(__file__).resolve().parent


def _put_bundle_first() -> None:
    """The bundle's own libraries go before the distribution's: PYTHONPATH and .pth files would rank below or break Orthanc."""
    section = json.loads(orthanc.GetConfiguration()).get("Vigil", {})
    named = section.get("SitePackages") if isinstance(section, dict) else None
    default = HERE.parent / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for folder in (Path(named) if isinstance(named, str) else default, HERE):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _tell_not_ready(reason: str) -> None:
    """Serves the one thing that still can be served: what is wrong, in words."""
    orthanc.LogError(f"Vigil is not ready, Orthanc goes on without it: {reason}")
    body = json.dumps({"ready": False, "missing": [reason]})

    def health(output, uri, **request):  # type: ignore[no-untyped-def]
        if uri.endswith("/live"):
            return output.AnswerBuffer(json.dumps({"live": True}), "application/json")
        try:
            output.SendHttpStatus(503, body, len(body))
        except TypeError:
            output.SendHttpStatus(503, body)  # a later plugin counts for itself

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(health))  # for good, as vigil/host/routes.py says
    orthanc.RegisterRestCallback("/vigil/health/(live|ready)", health)


def open_vigil() -> None:
    """Starts Vigil in this Orthanc. Raises nothing."""
    try:
        # Before numpy is imported: its linear algebra would keep a thread for each core spinning beside Orthanc's own.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        _put_bundle_first()
        from vigil.host.entry import install

        install(orthanc)
    except ImportError as error:
        _tell_not_ready(f"the library '{error.name or error}' cannot be imported ({error}); install the bundle again")
    except Exception as error:  # noqa: BLE001 - the door: nothing of ours may stop Orthanc
        _tell_not_ready(f"the bundle could not start ({type(error).__name__}: {error}); install the bundle again")


open_vigil()
