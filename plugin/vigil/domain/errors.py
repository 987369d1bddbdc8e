"""What can go wrong, in one place: every error of Vigil has a category that a program and a person can tell apart.

A room raises a subclass of :class:`VigilError` of its own (its ``errors.py``); at a workflow's edge the category and
the message become the reason of a "not analysed", "failed" or "waiting" in ledger, audit and on the Secondary Capture.
"""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """The name of a failure. The value is stable: it stands in the ledger, in metrics and in the SR."""

    # what arrived
    INCOMPLETE = "incomplete"
    STILL_ARRIVING = "still-arriving"
    NO_SUITABLE_SERIES = "no-suitable-series"
    OUT_OF_SCOPE = "out-of-scope"
    NO_PIXEL_DATA = "no-pixel-data"
    UNREADABLE_INSTANCE = "unreadable-instance"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported-transfer-syntax"
    SLICE_MISSING = "slice-missing"
    SLICE_CONFLICT = "slice-conflict"
    IRREGULAR_GEOMETRY = "irregular-geometry"
    IDENTITY_CONFLICT = "identity-conflict"
    TRUNCATED_ANATOMY = "truncated-anatomy"
    IMPLAUSIBLE_VALUES = "implausible-values"
    SATURATED_VALUES = "saturated-values"
    MISSING_ATTRIBUTE = "missing-attribute"
    STUDY_TOO_LARGE = "study-too-large"
    STUDY_DELETED = "study-deleted"
    STUDY_TOO_OLD = "study-too-old"
    # the model
    MODEL_FILE_MISSING = "model-file-missing"
    MODEL_HASH_MISMATCH = "model-hash-mismatch"
    MODEL_INVALID = "model-invalid"
    MODEL_NOT_LOADED = "model-not-loaded"
    MODEL_NOT_APPROVED = "model-not-approved"
    GOLDEN_CASE_DIFFERS = "golden-case-differs"
    ALL_BACKGROUND = "all-background"
    MODEL_QUARANTINED = "model-quarantined"
    MODEL_PAUSED = "model-paused"
    MODEL_PROCESS_ENDED = "model-process-ended"
    INFERENCE_FAILED = "inference-failed"
    TIME_LIMIT = "time-limit"
    OUT_OF_MEMORY = "out-of-memory"
    RESULT_NOT_MADE = "result-not-made"
    # the house
    SETTINGS_INVALID = "settings-invalid"
    LEDGER_UNAVAILABLE = "ledger-unavailable"
    STORAGE_FAILED = "storage-failed"
    LIBRARY_MISSING = "library-missing"
    STOPPING = "stopping"
    INTERNAL = "internal"
    # the way out
    DESTINATION_UNREACHABLE = "destination-unreachable"
    DESTINATION_REFUSED = "destination-refused"
    DESTINATION_SILENT = "destination-silent"
    MESSAGE_INVALID = "message-invalid"
    POLICY = "policy"


class VigilError(Exception):
    """An error that a person will read: what is wrong, where, and what to do. Holds nothing that identifies a
    patient."""

    category: Category = Category.INTERNAL

    def __init__(self, message: str, *, category: Category | None = None) -> None:
        super().__init__(message)
        if category is not None:
            self.category = category

    @property
    def message(self) -> str:
        return str(self.args[0])


class Stopping(VigilError):
    """Orthanc is stopping; the work is resumed after the next start."""

    category = Category.STOPPING


def in_words(error: Exception) -> str:
    """What a person is told of an error. The text of one that is no word of ours may quote a patient, so its kind alone is."""
    return error.message if isinstance(error, VigilError) else f"a fault in the software ({type(error).__name__}); see the log"
