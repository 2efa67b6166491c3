"""What Python gets is what the command digests: the same bytes as Rust's."""

from __future__ import annotations

import json
import os
import subprocess

import blake3
import genset
import pytest

COMMAND = os.environ.get("GENSET_COMMAND")


@pytest.mark.skipif(COMMAND is None, reason="GENSET_COMMAND is not set")
def test_bytes_are_those_of_the_command(digits: genset.Dataset) -> None:
    command = [COMMAND, "digest", "builtin:digits", "--from", "100", "--count", "300", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told["dataset"] == digits.digest
    with digits.loader(batch=70, range=(100, 400), rank=(0, 1)) as loader:
        ours = {
            int(index): blake3.blake3(image.tobytes() + label.tobytes()).hexdigest()
            for batch in loader
            for index, image, label in zip(batch.index, batch.images, batch.labels, strict=True)
        }
    assert ours == {sample["index"]: sample["blake3"] for sample in told["samples"]}
