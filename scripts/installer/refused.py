"""Why an installation does not go on: one sentence that says what, where and what to do. Nothing was changed then."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    ORTHANC_NOT_FOUND = "orthanc-not-found"
    ORTHANC_TOO_OLD = "orthanc-too-old"
    PLUGIN_MISSING = "plugin-missing"
    PYTHON_UNSUPPORTED = "python-unsupported"
    CONFIGURATION_UNREADABLE = "configuration-unreadable"
    SETTINGS_REFUSED = "settings-refused"
    SITE_SCRIPT_UNSAFE = "site-script-unsafe"
    BUNDLE_BROKEN = "bundle-broken"
    SIGNATURE_WRONG = "signature-wrong"
    LIBRARY_MISSING = "library-missing"
    PORT_OCCUPIED = "port-occupied"
    DISK_FULL = "disk-full"
    NOT_WRITABLE = "not-writable"
    NOT_INSTALLED = "not-installed"
    CHANGED_SINCE = "changed-since"
    DECLINED = "declined"
    ANOTHER_RUNS = "another-runs"


class Refused(Exception):
    """The message is for the person at the terminal."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
