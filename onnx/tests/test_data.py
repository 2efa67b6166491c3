"""Reading IDX files and refusing what is not what was pinned."""

import gzip
import hashlib

import data
import numpy as np
import pytest

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in IMAGES.shape)


def test_plain_and_gzipped_read_the_same(tmp_path):
    (tmp_path / "plain").write_bytes(HEADER + IMAGES.tobytes())
    (tmp_path / "packed.gz").write_bytes(gzip.compress(HEADER + IMAGES.tobytes()))
    assert np.array_equal(data.read_idx(tmp_path / "plain"), IMAGES)
    assert np.array_equal(data.read_idx(tmp_path / "packed.gz"), IMAGES)


@pytest.mark.parametrize("content", [HEADER + IMAGES.tobytes()[:-1], HEADER + IMAGES.tobytes() + b"x"])
def test_wrong_size_is_refused(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match="its header says"):
        data.read_idx(tmp_path / "bad")


def test_other_file_is_refused(tmp_path):
    (tmp_path / "bad").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match="not an IDX file"):
        data.read_idx(tmp_path / "bad")


def test_hash_decides(tmp_path):
    (tmp_path / "package.tgz").write_bytes(b"content")
    data.verify(tmp_path / "package.tgz", hashlib.sha256(b"content").hexdigest())
    with pytest.raises(SystemExit, match="pinned is 000"):
        data.verify(tmp_path / "package.tgz", "0" * 64)
