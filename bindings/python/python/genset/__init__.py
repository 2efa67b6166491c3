"""A generator where the dataset was.

>>> import genset
>>> dataset = genset.Dataset("builtin:digits")
>>> dataset[12_345].images.shape
(1, 2, 1, 28, 28)
>>> for images, labels in dataset.loader(batch=256):
...     break
>>> images.shape
(256, 2, 1, 28, 28)

``genset.torch`` has what PyTorch's ``DataLoader`` takes.
"""

from __future__ import annotations

from . import errors
from ._batch import Batch
from ._dataset import Dataset
from ._genset import Tensor, __version__
from ._loader import Loader
from ._stream import Stream
from ._verbs import (
    audit,
    audit_attributes,
    bench,
    export,
    inspect,
    inspect_precision,
    inspect_providers,
    inspect_rewrites,
    install,
    make_encoder,
    probe,
    train,
    verify,
)
from .errors import Error

__all__ = [
    "Batch",
    "Dataset",
    "Error",
    "Loader",
    "Stream",
    "Tensor",
    "__version__",
    "audit",
    "audit_attributes",
    "bench",
    "errors",
    "export",
    "inspect",
    "inspect_precision",
    "inspect_providers",
    "inspect_rewrites",
    "install",
    "make_encoder",
    "probe",
    "train",
    "verify",
]
