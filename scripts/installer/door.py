"""The script that Orthanc runs once Vigil is installed: the site's own, if there is one, and then Vigil. Both run.

It lies beside the site's configuration and not in the prefix: an Orthanc whose script is gone does not start (measured), and
without a whole release, or without a prefix at all, it has to start, store and answer as before.
"""

from __future__ import annotations

import json
from pathlib import Path

_TEMPLATE = '''\
"""Written by the installer of Vigil for Orthanc: runs the site's own script, if it has one, and then Vigil.

Orthanc takes one script, and one callback for changes. What registers for changes here is called in turn; an error in one does
not stop the others. Without a whole Vigil, Orthanc starts, stores and answers as before. "install uninstall" takes this out.
"""

import ctypes
import importlib
import json
import os
import sys

import orthanc

SITE_SCRIPT = {site_script}
RELEASE = {release}
THREADS_ALLOWED = {threads_allowed}
LOCKS_WITHOUT_THREADS = ("RegisterOnStoredInstanceCallback", "RegisterReceivedInstanceCallback")

_register = orthanc.RegisterOnChangeCallback
_callbacks = []
_locks = []


def _on_change(change, level, resource):
    error = None
    for callback in list(_callbacks):
        try:
            callback(change, level, resource)
        except Exception as raised:  # told below, after all had their turn
            error = error or raised
    if error is not None:
        raise error


def _register_one_more(callback):
    if not _callbacks:
        _register(_on_change)
    _callbacks.append(callback)


def _noted(name, register):
    def registered(*arguments):
        _locks.append(name)
        return register(*arguments)
    return registered


def _run_site_script():
    """As Orthanc would: from its folder, under its name. What it raises is the site's, and ends Orthanc as it always did."""
    folder, file = os.path.split(SITE_SCRIPT)
    sys.path.insert(0, folder)
    importlib.import_module(os.path.splitext(file)[0])


def _tell_not_ready(reason):
    orthanc.LogError("Vigil is not ready, Orthanc goes on without it: " + reason)
    body = json.dumps({{"ready": False, "missing": [reason]}})

    def health(output, uri, **request):
        try:
            output.SendHttpStatus(503, body, len(body))
        except TypeError:
            output.SendHttpStatus(503, body)  # a later plugin counts for itself

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(health))  # held for good: newer plugins let go of it after Python has ended
    orthanc.RegisterRestCallback("/vigil/health/ready", health)


def _run_vigil():
    if _locks and not THREADS_ALLOWED:
        _tell_not_ready("the site's script uses " + _locks[0] + ", which would stop Orthanc for good beside Vigil's threads. "
                        'Set "Python" : {{ "AllowThreads" : true }} (Python plugin 4.3 or later)')
        return
    try:
        sys.path.insert(0, os.path.join(RELEASE, "plugin"))
        importlib.import_module("vigil_plugin")
    except Exception as error:
        _tell_not_ready("its release cannot be started (%s: %s); install the bundle again" % (type(error).__name__, error))


orthanc.RegisterOnChangeCallback = _register_one_more
for _name in LOCKS_WITHOUT_THREADS:
    if hasattr(orthanc, _name):
        setattr(orthanc, _name, _noted(_name, getattr(orthanc, _name)))
if SITE_SCRIPT is not None:
    _run_site_script()
_run_vigil()
'''


def door(site_script: Path | None, release: Path, threads_allowed: bool) -> str:
    return _TEMPLATE.format(
        site_script="None" if site_script is None else json.dumps(str(site_script)),
        release=json.dumps(str(release)),
        threads_allowed=threads_allowed,
    )
