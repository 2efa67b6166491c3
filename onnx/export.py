"""Turns somebody's PyTorch generator and its checkpoint into ONNX and a recipe.

    python onnx/export.py --module package.models:Generator --kwargs '{"nz": 100}' \\
        --checkpoint weights.pth --input z=latent:100 --input y=class:8:one-hot \\
        --range -1 1 -o face.onnx

`--module` is imported, so it runs its author's code: only give modules that you
trust. The checkpoint is read as plain tensors and runs nothing. Inputs are named
in the order in which `forward` takes them:

    NAME=latent:SIZE[:normal|uniform]            [N, SIZE]
    NAME=latent:SIZEx1x1[:normal|uniform]        [N, SIZE, 1, 1]
    NAME=class:COUNT[:one-hot|index[:A,B,...]]   [N, COUNT] or [N]; names of the classes
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import contract
import graphs
from graphs import ExportError

# Where training scripts commonly put the generator's weights, best guess first.
WRAPPINGS = (
    "g_ema", "netG_state_dict", "generator_state_dict", "G_state_dict", "generator", "netG", "G",
    "state_dict", "model_state_dict", "model", "params_ema", "params",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.", "generator.", "netG.")
PROBES = 4


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from PyTorch."""

    model: Path
    recipe: Path
    difference: float
    shape: tuple[int, ...]


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        inputs = dict(parse_input(text) for text in options.input)
        network = build(options.module, json.loads(options.kwargs))
        load_checkpoint(network, options.checkpoint, options.key)
        meaning = contract.Contract(inputs, *options.range)
        facts = {"licence": options.licence, "source": options.source, "description": options.description}
        done = export(network, meaning, options.output, options.block, facts)
    except (ExportError, OSError, json.JSONDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{done.model}: {list(done.shape)}, differs from PyTorch by at most {done.difference:.1e}; {done.recipe}")
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--module", required=True, help="package.module:Class or path/to/file.py:Class")
    result.add_argument("--kwargs", default="{}", help="the constructor's arguments as JSON")
    result.add_argument("--checkpoint", type=Path, required=True)
    result.add_argument("--key", help="key of the weights inside the checkpoint, if it has several")
    result.add_argument("--input", action="append", required=True, metavar="NAME=MEANING")
    result.add_argument("--range", type=float, nargs=2, required=True, metavar=("LOW", "HIGH"))
    result.add_argument("--block", type=int, default=32, help="images a generator call makes (recipe)")
    result.add_argument("--licence", default="", help="of the weights, for the metadata")
    result.add_argument("--source", default="", help="where the weights come from, for the metadata")
    result.add_argument("--description", default="")
    result.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.onnx")
    return result


def parse_input(text: str) -> tuple[str, contract.Latent | contract.Class]:
    """`z=latent:100` -> ("z", Latent(100)); see the module's text for the forms."""
    match = re.fullmatch(r"(\w+)=(latent|class):(\d+)(x1x1)?(?::(.*))?", text)
    if not match:
        raise ExportError(f"--input {text}: write NAME=latent:SIZE or NAME=class:COUNT:one-hot")
    name, role, count, spatial, rest = match.groups()
    if int(count) == 0:
        raise ExportError(f"--input {text}: a size of 0")
    if role == "latent":
        distribution = rest or "normal"
        if distribution not in ("normal", "uniform"):
            raise ExportError(f"--input {text}: distribution `{distribution}` is neither normal nor uniform")
        return name, contract.Latent(int(count), bool(spatial), distribution)
    encoding, _, names = (rest or "one-hot").partition(":")
    if spatial or encoding not in ("one-hot", "index"):
        raise ExportError(f"--input {text}: write NAME=class:COUNT:one-hot or NAME=class:COUNT:index")
    named = tuple(names.split(",")) if names else ()
    if named and len(named) != int(count):
        raise ExportError(f"--input {text}: {len(named)} names for {count} classes")
    return name, contract.Class(int(count), encoding, named)


def build(module: str, arguments: Mapping[str, object]) -> nn.Module:
    """Imports and constructs the network of `package.module:Class` or `file.py:Class`."""
    place, colon, name = module.rpartition(":")
    if not colon:
        raise ExportError(f"--module {module}: write package.module:Class")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
        else:
            loaded = importlib.import_module(place)
    except ImportError as error:
        raise ExportError(f"--module {module}: {error}") from error
    if not hasattr(loaded, name):
        raise ExportError(f"--module {module}: no `{name}` in {place}")
    try:
        network = getattr(loaded, name)(**arguments)
    except TypeError as error:
        raise ExportError(f"{name}: {error}; give its arguments with --kwargs") from error
    if not isinstance(network, nn.Module):
        raise ExportError(f"--module {module}: `{name}` is no torch.nn.Module")
    return network


def load_checkpoint(network: nn.Module, path: Path, key: str | None = None) -> None:
    """Loads the weights of `path` into `network`, whatever they are wrapped in."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        first = str(error).splitlines()[0]
        raise ExportError(f"{path}: not a checkpoint of plain tensors: {first}") from error
    weights = strip_prefix(find_weights(content, path, key), set(network.state_dict()))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ExportError(f"{path} does not fit the network: {error}") from error


def find_weights(content: object, path: Path, key: str | None) -> dict[str, torch.Tensor]:
    """The state dictionary inside a checkpoint."""
    if not isinstance(content, Mapping):
        raise ExportError(f"{path}: holds a {type(content).__name__}, not a dictionary of tensors")
    if key is not None:
        if key not in content:
            raise ExportError(f"{path}: no `{key}`; it has {', '.join(map(str, content))}")
        return find_weights(content[key], path, None)
    if content and all(isinstance(value, torch.Tensor) for value in content.values()):
        return dict(content)
    inner = [name for name, value in content.items() if isinstance(value, Mapping)]
    for name in WRAPPINGS:
        if name in inner:
            return find_weights(content[name], path, None)
    if len(inner) == 1:
        return find_weights(content[inner[0]], path, None)
    names = ", ".join(map(str, inner)) or "none"
    raise ExportError(f"{path}: which part is the generator? Give --key, one of: {names}")


def strip_prefix(weights: dict[str, torch.Tensor], wanted: set[str]) -> dict[str, torch.Tensor]:
    """Takes off prefixes that wrappers such as DataParallel and compile put on every name."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if not wanted & set(weights) and all(name.startswith(prefix) for name in weights):
                weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def examples(meaning: contract.Contract, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """`count` random inputs as the contract describes them."""
    random = torch.Generator().manual_seed(seed)
    made = {}
    for name, what in meaning.inputs.items():
        shape = what.shape(count)
        if isinstance(what, contract.Latent) and what.distribution == "uniform":
            made[name] = torch.rand(shape, generator=random) * 2 - 1
        elif isinstance(what, contract.Latent):
            made[name] = torch.randn(shape, generator=random)
        else:
            labels = torch.randint(what.classes, (count,), generator=random)
            one_hot = what.encoding == "one-hot"
            made[name] = nn.functional.one_hot(labels, what.classes).float() if one_hot else labels
    return made


def export(
    network: nn.Module,
    meaning: contract.Contract,
    output: Path,
    block: int = 32,
    facts: Mapping[str, str] | None = None,
) -> Exported:
    """Writes `output` and the recipe beside it, after checking both against `network`."""
    if output.suffix != ".onnx":
        raise ExportError(f"{output}: the name must end in .onnx")
    network.eval()
    trial = examples(meaning, PROBES)
    with torch.no_grad():
        try:
            images = network(*trial.values())
        except (RuntimeError, TypeError, IndexError) as error:
            shapes = {name: list(value.shape) for name, value in trial.items()}
            raise ExportError(f"the network does not take {shapes}: {error}") from error
    check_images(images, meaning)
    model = graphs.to_onnx(network, trial)
    difference = graphs.difference(model, network, examples(meaning, PROBES, seed=1))
    if not difference <= graphs.TOLERANCE:
        raise ExportError(f"ONNX Runtime and PyTorch differ by {difference:.1e}, more than {graphs.TOLERANCE:.0e}")
    contract.label(model, meaning, **(facts or {}))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(model.SerializeToString(deterministic=True))
    recipe = output.with_suffix(".toml")
    recipe.write_text(contract.Recipe(output.stem, meaning, block).toml(), encoding="utf-8")
    return Exported(output, recipe, difference, tuple(images.shape[1:]))


def check_images(images: object, meaning: contract.Contract) -> None:
    """Refuses what is no batch of images in the stated range."""
    if not isinstance(images, torch.Tensor):
        raise ExportError(f"the network gives a {type(images).__name__}, not one tensor")
    shape = list(images.shape)
    if len(shape) != 4 or shape[0] != PROBES or shape[1] not in (1, 3, 4):
        raise ExportError(f"the network gives {shape}, expected [{PROBES}, 1 or 3 or 4, height, width]")
    if not images.isfinite().all():
        raise ExportError("the network gives NaN or infinite values")
    low, high = images.min().item(), images.max().item()
    slack = 1e-3 * (meaning.high - meaning.low)
    if low < meaning.low - slack or high > meaning.high + slack:
        raise ExportError(f"values from {low:.3g} to {high:.3g} are outside --range {meaning.low:g} {meaning.high:g}")


if __name__ == "__main__":
    sys.exit(main())
