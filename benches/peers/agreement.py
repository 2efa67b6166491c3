"""That everyone makes the same images of the same latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from entrants import Course, Ready, stream
from streams import Layout, Variant

# bf16 has 8 bits of a number and a deep generator adds errors up; more than this, on average and
# in 255ths, is another image.
CLOSE = 4.0


def agree(course: Course, one: Ready) -> float:
    """How far its pixels are from f32 on average, in 255ths. Ours that comes first, in f32, makes the
    course's reference.

    Raises `SystemExit` if they are further than rounding explains."""
    if not one.entrant.ours:
        assert course.reference is not None
        return difference(course, one, course.images(one.entrant), course.reference / "images")
    batch = write(course, one)
    if course.reference is None:
        course.reference = batch
        return 0.0
    wanted = course.reference
    if (wanted / "latent").read_bytes() == (batch / "latent").read_bytes():
        return difference(course, one, batch / "images", wanted / "images")
    # The precision belongs to a recipe's identity, from which latents are drawn.
    return difference(course, one, batch / "images", by_onnx_runtime(replace(course, reference=batch)))


def write(course: Course, one: Ready) -> Path:
    """Has ours write a batch; gives the folder."""
    folder = course.scratch / f"{one.entrant.name}-batch"
    folder.mkdir()
    one.ask({"write": str(folder)})
    return folder


def by_onnx_runtime(course: Course) -> Path:
    """The images of the course's reference latents, in f32."""
    runtime = stream("onnxruntime")
    with course.start(runtime, Layout(0, len(course.cores)), Variant(0)) as process:
        process.answer()
    return course.images(runtime)


def difference(course: Course, one: Ready, images: Path, wanted: Path) -> float:
    own, theirs = (np.fromfile(path, np.uint8).astype(np.int16) for path in (images, wanted))
    if own.shape != theirs.shape:
        raise SystemExit(f"{course.generator}: {one.entrant.title} made {own.size} pixels, not {theirs.size}")
    apart = np.abs(own - theirs)
    # Rounding of values that lie on an edge goes either way.
    if apart.mean() > CLOSE or (one.entrant.exact and apart.max() > 1):
        raise SystemExit(
            f"{course.generator}: {one.entrant.title} makes other images than genset of the same latents: "
            f"up to {apart.max()} of 255 apart, {apart.mean():.2f} on average"
        )
    return float(apart.mean())
