"""What genset raises.

Every exception is an ``Error``, and where Python has a class for such a thing, of that class too: a
wrong key in a recipe is a ``ValueError``, a missing file an ``OSError``. Ctrl-C is ``KeyboardInterrupt``.
"""

from __future__ import annotations


class Error(Exception):
    """Something failed. The text says what, where, and what to do next.

    Attributes:
        sample: The index of the sample at fault, where there is one.
        advice: The next step to take, where one is known.
    """

    def __init__(self, message: str = "", sample: int | None = None, advice: str | None = None) -> None:
        super().__init__(message)
        self.sample = sample
        self.advice = advice

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.sample, self.advice)


class RecipeError(Error, ValueError):
    """A recipe that cannot be read, or that asks for something impossible."""


class ModelError(Error, ValueError):
    """An ONNX file that is broken, hostile, or not a generator."""


class OnnxRuntimeError(Error, RuntimeError):
    """ONNX Runtime is missing, too old, built for another machine, or failed."""


class ProviderError(Error, RuntimeError):
    """An execution provider that was asked for cannot run."""


class SampleError(Error, RuntimeError):
    """One sample could not be made, or holds a value that no image may have."""


class LimitError(Error, MemoryError):
    """Something would need more memory, bytes or draws than its limit allows."""


class FileError(Error, OSError):
    """A file or folder could not be read or written."""


class WorkerError(Error, RuntimeError):
    """A worker thread panicked."""


class ArgumentError(Error, ValueError):
    """An argument that makes no sense: a rank outside the world, an empty batch."""


class StateError(Error, ValueError):
    """A saved state or list of digests belongs to another dataset."""


class MissingPackageError(Error, ImportError):
    """A package that is needed here is not installed."""
