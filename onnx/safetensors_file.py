"""Tensors in the safetensors format, the same bytes for the same tensors.

Format: <https://github.com/huggingface/safetensors#format>.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor


@dataclass
class File:
    """A safetensors file: tensors, and what they are in its metadata."""

    case: dict[str, object]
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def put(self, name: str, tensor: Tensor | np.ndarray | float) -> None:
        array = tensor.detach().numpy() if isinstance(tensor, Tensor) else np.asarray(tensor)
        # Losses stay double; what is large is single, which is far below what is asked for.
        self.tensors[name] = array.astype(np.float32) if array.dtype == np.float64 and array.ndim else array

    def write(self, path: Path) -> None:
        kinds = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
        header: dict[str, object] = {"__metadata__": {"case": json.dumps(self.case, sort_keys=True)}}
        data = b""
        # The format wants the widest first, then by name.
        for name, array in sorted(self.tensors.items(), key=lambda pair: (-pair[1].itemsize, pair[0])):
            raw = np.ascontiguousarray(array).tobytes()
            offsets = [len(data), len(data) + len(raw)]
            header[name] = {"dtype": kinds[str(array.dtype)], "shape": list(array.shape), "data_offsets": offsets}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
