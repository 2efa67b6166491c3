"""The packages that people train with read what genset writes: the same pixels and labels.

Every sample that a reader gives is compared with `genset digest` of the recipe, which no file was
needed for.
"""

import shutil
import subprocess
import tarfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from conftest import (
    CLASSES, FIRST, SAMPLES, SHAPE, VIEWS, digest, genset, stream_digests, write_recipe
)

LOSSLESS = ["png", "webp"]


def gray(image: Image.Image) -> np.ndarray:
    """[C, H, W] of one channel; WebP has no gray, and stores it as RGB."""
    pixels = np.asarray(image)
    if pixels.ndim == 3:
        assert (pixels == pixels[..., :1]).all()
        pixels = pixels[..., 0]
    return pixels[None]


def decode(data: bytes) -> np.ndarray:
    return gray(Image.open(BytesIO(data)))


def close(images: np.ndarray, exact: np.ndarray) -> bool:
    return bool(np.abs(images.astype(int) - exact.astype(int)).mean() < 6)


@pytest.fixture(scope="session")
def exact(export, check) -> dict[int, np.ndarray]:
    """Images by index, for what is stored with a loss."""
    samples = {index: images for index, _, images in read_safetensors(export("safetensors", "raw"))}
    assert len(samples) == SAMPLES
    return samples


# --- safetensors


def read_safetensors(folder):
    from safetensors.numpy import load_file

    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 3
    for file in files:
        tensors = load_file(file)
        images = tensors["images"]
        if images.ndim == 1:
            places = tensors["images.offsets"].astype(int)
            decoded = [decode(images[a:b].tobytes()) for a, b in zip(places, places[1:])]
            images = np.stack(decoded).reshape(-1, *SHAPE)
        assert tensors["latent"].shape[:2] == (len(images), VIEWS)
        yield from zip(tensors["index"].tolist(), tensors["label"].tolist(), images)


@pytest.mark.parametrize("images", ["raw", *LOSSLESS])
def test_safetensors_reads_tensors(export, check, images):
    check(read_safetensors(export("safetensors", images)))


# --- webdataset


def read_webdataset(folder, decoder=None):
    import webdataset

    shards = sorted(map(str, folder.glob("*.tar")))
    assert len(shards) == 3
    dataset = webdataset.WebDataset(shards, shardshuffle=False)
    yield from dataset.decode(decoder) if decoder else dataset.decode()


def views(sample: dict, extension: str, read) -> np.ndarray:
    return np.stack([read(sample[f"{view}.{extension}"]) for view in range(VIEWS)])


@pytest.mark.parametrize("images", LOSSLESS)
def test_webdataset_reads_pictures(export, check, images):
    samples = list(read_webdataset(export("webdataset", images), "pil"))
    for sample in samples:
        assert sample["__key__"] == f"{sample['json']['index']:09d}"
        assert sample["json"]["label"] == sample["cls"]
        assert len(sample["json"]["parameters"]) > 0
        assert sample["latent.npy"].shape[0] == VIEWS
    check((s["json"]["index"], s["cls"], views(s, images, gray)) for s in samples)


def test_webdataset_reads_arrays(export, check):
    samples = read_webdataset(export("webdataset", "raw"))
    check((s["json"]["index"], s["cls"], s["npy"]) for s in samples)


def test_webdataset_reads_jpegs(export, exact):
    samples = list(read_webdataset(export("webdataset", "jpeg:95"), "pil"))
    assert len(samples) == SAMPLES
    for sample in samples:
        assert close(views(sample, "jpg", gray), exact[sample["json"]["index"]])


# --- plain tar


def gather(names_and_bytes):
    """Members put together by key, as a person would."""
    samples = {}
    for name, data in names_and_bytes:
        key, _, suffix = name.partition(".")
        if suffix:
            samples.setdefault(key, {})[suffix] = data
    for key, sample in samples.items():
        yield int(key), int(sample["cls"]), views(sample, "png", decode)


def test_tarfile_reads_members(export, check):
    def members():
        for shard in sorted(export("webdataset", "png").glob("*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    assert member.isreg() and (member.uid, member.gid) == (0, 0)
                    yield member.name, tar.extractfile(member).read()

    check(gather(members()))


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar command")
def test_tar_unpacks_without_a_word(export, check, tmp_path):
    for shard in sorted(export("webdataset", "png").glob("*.tar")):
        done = subprocess.run(
            ["tar", "-xf", shard, "-C", tmp_path], capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("", "")
    files = sorted(path for path in tmp_path.iterdir() if path.suffix)
    check(gather((path.name, path.read_bytes()) for path in files))


# --- MosaicML Streaming


def read_streaming(folder, extras=True):
    import streaming

    streaming.base.util.clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
    assert len(dataset) == SAMPLES
    # Random access, from the last to the first.
    for position in reversed(range(SAMPLES)):
        sample = dataset[position]
        assert sample["index"] == FIRST + position
        assert ("latent" in sample) == ("parameters" in sample) == extras
        if extras:
            assert sample["latent"].shape[0] == VIEWS and sample["latent"].dtype == np.float32
            assert len(sample["parameters"]) > 0
        yield sample


def columns(sample: dict, read=gray) -> np.ndarray:
    return np.stack([read(sample[f"image.{view}"]) for view in range(VIEWS)])


def test_streaming_reads_arrays(export, check):
    samples = read_streaming(export("mds", "raw"))
    check((s["index"], s["label"], s["images"]) for s in samples)


@pytest.mark.parametrize("images, read", [("png", gray), ("webp", decode)])
def test_streaming_reads_pictures(export, check, images, read):
    samples = read_streaming(export("mds", images))
    check((s["index"], s["label"], columns(s, read)) for s in samples)


def test_streaming_reads_jpegs(export, exact):
    samples = list(read_streaming(export("mds", "jpeg:95")))
    assert all(close(columns(sample), exact[sample["index"]]) for sample in samples)


# --- HF datasets


def load(*arguments, **keywords):
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(*arguments, split="train", **keywords)


def test_datasets_reads_tars(export, check, tmp_path):
    shards = sorted(map(str, export("webdataset", "png").glob("*.tar")))
    dataset = load("webdataset", data_files={"train": shards}, cache_dir=str(tmp_path))
    assert len(dataset) == SAMPLES
    check((s["json"]["index"], s["cls"], views(s, "png", gray)) for s in dataset)


def test_datasets_reads_folders_of_images(export, exact, tmp_path):
    folder = export("images", "png")
    dataset = load("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path))
    assert len(dataset) == SAMPLES * VIEWS
    names = dataset.features["label"].names
    assert set(names) <= {str(label) for label in range(CLASSES)}
    stored = {path.read_bytes() for path in folder.rglob("*.png")}
    assert len(stored) > SAMPLES
    # Which sample an image is of is in no column: all of them are there, and no other.
    seen = sorted(gray(row["image"]).tobytes() for row in dataset)
    assert seen == sorted(view.tobytes() for images in exact.values() for view in images)


def test_images_are_in_the_folder_of_their_label(export, check):
    folder = export("images", "png")
    samples = {}
    for path in sorted(folder.rglob("*.png")):
        index, view = map(int, path.stem.split("-"))
        key = (index, int(path.parent.name))
        samples.setdefault(key, []).append(decode(path.read_bytes()))
        assert len(samples[key]) == view + 1
    check((index, label, np.stack(images)) for (index, label), images in samples.items())


# --- other types and layouts


@pytest.mark.parametrize("dtype, numpy", [("f32", np.float32), ("f16", np.float16)])
def test_floats_and_channels_last(tmp_path, dtype, numpy):
    output = f'[output]\ndtype = "{dtype}"\nlayout = "NHWC"\n'
    recipe = write_recipe(tmp_path / "digits.toml", output)
    wanted = stream_digests(recipe)

    def folder(format: str):
        out = tmp_path / format
        samples = ("--from", FIRST, "--samples", SAMPLES, "--shard-samples", 25)
        genset("export", recipe, "-o", out, "--format", format, "--images", "raw", *samples)
        return out

    def compare(samples) -> None:
        seen = {}
        for index, label, images in samples:
            assert images.dtype == numpy and images.shape == (VIEWS, 28, 28, 1)
            seen[index] = digest(images, label)
        assert seen == wanted

    tars = read_webdataset(folder("webdataset"))
    compare((s["json"]["index"], s["cls"], s["npy"]) for s in tars)
    mds = read_streaming(folder("mds"), extras=False)
    compare((s["index"], s["label"], s["images"]) for s in mds)
