"""Untrained encoders as people write and export them with PyTorch, for `genset train`.

    python onnx/encoders.py resnet18-cifar vit -o DIR
    python onnx/encoders.py mobilenet-v3 -o DIR --exporter torchscript --opset 13 --batch-norm kept

Each is written to DIR/NAME.onnx: float32 images [N, C, H, W] in, features [N, D] out, of any N.
Weights are drawn from a fixed seed. `--batch-norm folded` is what both exporters do to a network in
inference mode: normalisations become part of the convolutions before them, and what is trained
then is a network without any. `genset train` wants them kept.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from onnx import ModelProto, load_from_string
from torch import Tensor, nn

from encoder_networks import ConvNext, ConvNextBlock, ConvSmall, Mixed, MobileNet, ResNet18, TorchTransformer, Vgg, Vit

EXPORTERS = ("torchscript", "dynamo")


@dataclass(frozen=True)
class Family:
    """An encoder, and how small it can be made."""

    build: Callable[..., nn.Module]
    tiny: dict[str, int]
    size: int = 32


FAMILIES = {
    "conv-small": Family(ConvSmall, {"width": 4}, 12),
    "resnet18-cifar": Family(ResNet18, {"width": 2}, 16),
    "resnet18": Family(partial(ResNet18, small=False), {"width": 2}, 48),
    "vgg": Family(partial(Vgg, norm=False), {"width": 4}, 16),
    "vgg-bn": Family(Vgg, {"width": 4}, 16),
    "mobilenet-v2": Family(partial(MobileNet, kind="v2"), {"width": 4}, 16),
    "mobilenet-v3": Family(MobileNet, {"width": 4}, 16),
    "efficientnet": Family(partial(MobileNet, kind="efficient"), {"width": 4}, 16),
    "convnext": Family(ConvNext, {"width": 6}, 16),
    "vit": Family(Vit, {"width": 12, "heads": 2, "layers": 2, "size": 8}, 8),
    "vit-mean": Family(partial(Vit, token=False), {"width": 12, "heads": 2, "layers": 1, "size": 8}, 8),
    "torch-transformer": Family(TorchTransformer, {"width": 12, "heads": 2, "size": 8, "patch": 4}, 8),
    "mixed": Family(Mixed, {"width": 4}, 12),
}  # fmt: skip


def build(name: str, channels: int = 3, seed: int = 0, tiny: bool = False, moved: bool = False) -> nn.Module:
    """An untrained network, and a `tiny` one for tests. If it is `moved`, scales and offsets of its
    normalisations are drawn too, as if it had learnt something: none is one or zero."""
    torch.manual_seed(seed)
    family = FAMILIES[name]
    network = family.build(channels, **(family.tiny if tiny else {}))
    if moved:
        rows = any(isinstance(module, nn.LayerNorm) for module in network.modules())
        for module in network.modules():
            if not rows and isinstance(module, nn.Conv2d | nn.Linear):
                # As they are drawn otherwise, images are hardly told apart behind a few layers.
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm2d):
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.uniform_(module.bias, -0.2, 0.2)
            if isinstance(module, nn.TransformerEncoder):
                # They are copies of one layer.
                for parameter in module.parameters():
                    parameter.data += 0.1 * torch.randn_like(parameter)
            if isinstance(module, ConvNextBlock):
                nn.init.uniform_(module.gamma, 0.05, 0.15)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.6, 1.4)
    return network


def export(
    network: nn.Module, images: Tensor, exporter: str, opset: int, kept: bool, folding: bool = True
) -> ModelProto:
    """`network` as ONNX, called with `images` of two or more; the batch becomes dynamic.

    `kept`: normalisations stay themselves. One exporter folds them into convolutions unless it is
    told that the network trains, the other unless it is told to leave the graph as it is.
    """
    network = network.eval()
    options = {"input_names": ["image"], "output_names": ["features"], "opset_version": opset}
    if exporter == "dynamo":
        options |= {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},), "optimize": not kept}
    else:
        mode = torch.onnx.TrainingMode.PRESERVE if kept else torch.onnx.TrainingMode.EVAL
        axes = {"image": {0: "N"}, "features": {0: "N"}}
        options |= {"dynamo": False, "dynamic_axes": axes, "training": mode, "do_constant_folding": folding}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            model = torch.onnx.export(network, (images,), **options).model_proto
        else:
            file = io.BytesIO()
            torch.onnx.export(network, (images,), file, **options)
            model = load_from_string(file.getvalue())
    tidy(model)
    return model


def tidy(model: ModelProto) -> None:
    """Takes out the names of files and modules that an exporter leaves."""
    graph = model.graph
    del graph.value_info[:]
    for part in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        part.doc_string = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=FAMILIES, metavar="NAME", help=", ".join(FAMILIES))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--exporter", choices=EXPORTERS, default="dynamo")
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--batch-norm", choices=("kept", "folded"), default="kept")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        network = build(name, options.channels, options.seed)
        size = 224 if name == "resnet18" else 32
        images = torch.zeros(2, options.channels, size, size)
        model = export(network, images, options.exporter, options.opset, options.batch_norm == "kept")
        path = options.output / f"{name}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        print(f"{path}: {sum(p.numel() for p in network.parameters()):,} parameters")


if __name__ == "__main__":
    main()
