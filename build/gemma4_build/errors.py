"""What can go wrong in a build. Every message names the file or value and the way out."""

from __future__ import annotations

from gemma4_runtime.one_line import one_line
from gemma4_runtime.picklable import PicklableError

__all__ = [
    "BadCheckpointError",
    "BadIndexError",
    "BadOptionError",
    "BuildError",
    "BusyError",
    "DiskFullError",
    "EngineRunError",
    "ExistingFolderError",
    "MisshapenTensorError",
    "MissingFileError",
    "MissingTensorError",
    "NotFiniteError",
    "QualityError",
    "QuantizationError",
    "TokenizerError",
    "TooLittleMemoryError",
    "TruncatedFileError",
    "UnknownTensorError",
    "UnsupportedModelError",
    "WarmUpError",
]


class BuildError(PicklableError):
    """A build failed; the text is one line for the user, and below it ``advice``, whose lines are
    our own words. ``exit_code`` is the command's."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__("\n".join(filter(None, [one_line(message), advice])))


class BadOptionError(BuildError):
    """An option has a value that cannot work."""

    exit_code = 2


class ExistingFolderError(BuildError):
    """The target exists and is something else."""

    exit_code = 2


class BusyError(BuildError):
    """Another process builds the same target."""


class DiskFullError(BuildError):
    """Not enough space, found before or while writing."""


class EngineRunError(BuildError):
    """llama.cpp could not load or run the built file."""


class QuantizationError(BuildError):
    """Quantizing failed, or what it wrote is not what was asked for."""


class TooLittleMemoryError(BuildError):
    """The machine has too little memory for what the build needs; found before it starts."""


class WarmUpError(BuildError):
    """The built engine did not answer while it was warmed up."""


class QualityError(BuildError):
    """The built engine is worse than its precision allows."""


class BadCheckpointError(BuildError):
    """The checkpoint cannot be converted."""

    exit_code = 2


class UnsupportedModelError(BadCheckpointError):
    """Another model than Gemma 4 26B-A4B's architecture."""


class MissingFileError(BadCheckpointError):
    """A file of the checkpoint is not there."""


class BadIndexError(BadCheckpointError):
    """The shard index and the shards do not agree."""


class TruncatedFileError(BadCheckpointError):
    """A shard's size is not what its header says."""


class UnknownTensorError(BadCheckpointError):
    """A tensor that this architecture does not have."""


class MissingTensorError(BadCheckpointError):
    """A tensor that this architecture needs is not there."""


class MisshapenTensorError(BadCheckpointError):
    """A tensor has the wrong shape or element type."""


class NotFiniteError(BadCheckpointError):
    """A weight is NaN or infinite, or becomes so in the precision that was asked for."""


class TokenizerError(BadCheckpointError):
    """The tokenizer files cannot be used."""
