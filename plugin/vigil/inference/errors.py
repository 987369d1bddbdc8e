"""What can be wrong with a model package or with running it."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class InferenceError(VigilError):
    """A model cannot be run, or did not run to its end."""


class ManifestInvalid(InferenceError):
    """The manifest cannot be used. The message names the file, the line where it is known, and what to write."""

    category = Category.MODEL_INVALID


class ModelInvalid(InferenceError):
    """The package does not do what its manifest says."""

    category = Category.MODEL_INVALID


class ModelFileMissing(InferenceError):
    category = Category.MODEL_FILE_MISSING


class ModelHashMismatch(InferenceError):
    """A file is not the one that the manifest names. ``expected`` and ``actual``: SHA-256, in hexadecimal."""

    category = Category.MODEL_HASH_MISMATCH

    def __init__(self, file: str, expected: str, actual: str) -> None:
        super().__init__(
            f"the file '{file}' has SHA-256 {actual}, and the manifest says {expected}; "
            "install the package again, or have the changed model approved with its new hash"
            if file != "manifest.yaml" else
            f"the manifest was changed: its SHA-256 is {actual} and was {expected}; put it back, or have the changed package "
            "approved (vigil models approve)"
        )
        self.expected = expected
        self.actual = actual


class ModelNotLoaded(InferenceError):
    """There is no session for the model: it does not load, or was not asked to."""

    category = Category.MODEL_NOT_LOADED


class ModelNotApproved(InferenceError):
    """Nobody at this site approved this package, as it is."""

    category = Category.MODEL_NOT_APPROVED


class ModelQuarantined(InferenceError):
    """The process died too often while this model ran."""

    category = Category.MODEL_QUARANTINED


class ModelPaused(InferenceError):
    """The model failed too often in a row."""

    category = Category.MODEL_PAUSED


class TimeLimitReached(InferenceError):
    """The run took longer than its manifest allows."""

    category = Category.TIME_LIMIT


class InferenceFailed(InferenceError):
    """The network stopped with an error, or what it gave cannot be a result."""

    category = Category.INFERENCE_FAILED


class OutOfMemory(InferenceError):
    category = Category.OUT_OF_MEMORY


class NothingToSee(InferenceError):
    """What arrived cannot be measured: no anatomy in it, or not the whole of it. The study is "not analysed", and says so."""

    category = Category.OUT_OF_SCOPE
