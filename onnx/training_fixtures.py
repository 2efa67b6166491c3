"""Writes what `tests/training` holds genset's training steps against: PyTorch, in double precision.

    python onnx/training_fixtures.py -o tests/training [NAME …]

For each tiny encoder of `encoders.py`, exported in several ways: the ONNX files; a batch; the loss,
the gradient of every parameter, and where parameters and running statistics are after ten steps.
For every objective: loss and gradients on plain embeddings. Weights are random, of fixed seeds, and
images are noise: nothing in these files is anybody's data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import encoders
import objectives
from encoder_networks import Head
from safetensors_file import File

BATCH, VIEWS, TEMPERATURE = 4, 2, 0.5
STEPS = {"sgd": 10, "adamw": 3, "lars": 3}
RATES = {"sgd": 0.001, "adamw": 0.01, "lars": 0.5}
DECAY = {"sgd": 0.01, "adamw": 0.1, "lars": 0.01}
# Parameters with several axes that are added or multiplied, and so are not decayed.
PLAIN = ("token", "places")


@dataclass(frozen=True)
class Way:
    """How an encoder is exported."""

    exporter: str
    opset: int
    kept: bool = True
    folding: bool = True

    @property
    def name(self) -> str:
        return f"{self.exporter}{self.opset}" + ("" if self.kept else "-folded") + ("" if self.folding else "-plain")


def ts(opset: int, kept: bool = True, folding: bool = True) -> Way:
    return Way("torchscript", opset, kept, folding)


def dynamo(opset: int, kept: bool = True) -> Way:
    return Way("dynamo", opset, kept)


WAYS = {
    "conv-small": [ts(17), ts(13, folding=False), dynamo(18), ts(13, kept=False), dynamo(20, kept=False)],
    "resnet18-cifar": [ts(17), dynamo(20, kept=False)],
    "resnet18": [ts(13), dynamo(18)],
    "vgg": [ts(13), dynamo(18)],
    "vgg-bn": [ts(17), dynamo(18), ts(13, kept=False)],
    "mobilenet-v2": [ts(13), dynamo(18), dynamo(18, kept=False)],
    "mobilenet-v3": [ts(13), dynamo(18), ts(17, kept=False)],
    "efficientnet": [ts(17), dynamo(20)],
    "convnext": [ts(13), ts(17, folding=False), ts(20), dynamo(18), dynamo(20, kept=False)],
    "vit": [ts(17), ts(20, folding=False), dynamo(18), dynamo(20, kept=False)],
    "vit-mean": [ts(14, kept=False), dynamo(21)],
    "torch-transformer": [dynamo(18), dynamo(20, kept=False)],
    "mixed": [ts(13), dynamo(18), dynamo(21, kept=False)],
}
# As they begin, normalisations are equal, and exporters write what is equal once.
UNTRAINED = {"conv-small": [ts(17), dynamo(18)], "vit": [ts(17), dynamo(20, kept=False)]}


def folded(network: nn.Module) -> nn.Module:
    """The network with every normalisation made part of the convolution before it."""
    for module in list(network.modules()):
        last: tuple[nn.Module, str] | None = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and last:
                owner, conv = last
                setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv).eval(), child.eval()))
                setattr(module, name, nn.Identity())
            last = (module, name) if isinstance(child, nn.Conv2d) else None
    return network.requires_grad_(True)


def matched(model: ModelProto, network: nn.Module) -> tuple[dict[str, list[str]], list[str]]:
    """Which parameter or statistic each initializer is, and whether it is turned; and those that
    are none."""
    known = {name: value.detach().numpy() for name, value in network.state_dict().items() if value.ndim}
    found: dict[str, list[str]] = {}
    rest = []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < 2:
            continue

        def distance(other: np.ndarray) -> float:
            return float(np.abs(value.ravel() - other.ravel()).max()) if value.size == other.size else np.inf

        taken = {name for name, _ in found.values()}
        left = {name: other for name, other in known.items() if name not in taken}
        fits = [(distance(other), name, "") for name, other in left.items()]
        fits += [(distance(other.T), name, "turned") for name, other in left.items() if other.ndim == 2]
        gap, name, turned = min(fits, default=(np.inf, "", ""))
        if gap < 1e-5:
            found[tensor.name] = [name, turned]
        else:
            rest.append(tensor.name)
    missing = set(known) - {name for name, _ in found.values()}
    assert not missing, f"the file lacks {missing}; it has {rest}"
    return found, rest


def rows(network: nn.Module, images: Tensor) -> list[Tensor]:
    """The features of uint8 images `[B, V, C, H, W]`, view by view."""
    features = network(images.flatten(0, 1).double() / 255)
    return list(features.reshape(*images.shape[:2], -1).unbind(1))


def noise(size: int, generator: torch.Generator) -> Tensor:
    """A batch of coarse patterns under fine ones: of fine noise alone, all images look alike."""
    shape = (BATCH * VIEWS, 3)
    coarse = torch.randint(0, 192, (*shape, 3, 3), generator=generator)
    fine = torch.randint(0, 64, (*shape, size, size), generator=generator)
    rows = torch.arange(size) * 3 // size
    return (coarse[:, :, rows][:, :, :, rows] + fine).to(torch.uint8).unflatten(0, (BATCH, VIEWS))


def margin(network: nn.Module, images: Tensor) -> float:
    """How far the nearest activation is from the corner of a ReLU: one that single precision sees
    on the other side has another gradient."""
    nearest = [1.0]
    corners = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.PReLU)
    see = lambda _, inputs: nearest.append(float(inputs[0].abs().min()))  # noqa: E731
    hooks = [module.register_forward_pre_hook(see) for module in network.modules() if isinstance(module, corners)]
    with torch.no_grad():
        rows(network, images)
    for hook in hooks:
        hook.remove()
    return min(nearest)


def decays(name: str, parameter: Tensor) -> bool:
    return parameter.ndim > 1 and name not in PLAIN


class Lars:
    """You and others 2017, equation 6; what is not decayed has plain momentum."""

    def __init__(self, groups: list[dict], rate: float, trust: float = 1e-3):
        self.groups, self.rate, self.trust = groups, rate, trust
        self.memory: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for group in self.groups:
            for p in group["params"]:
                g = p.grad
                if decay := group["weight_decay"]:
                    ratio = self.trust * p.norm() / (g.norm() + decay * p.norm())
                    g = ratio * (g + decay * p)
                self.memory[p] = 0.9 * self.memory.get(p, torch.zeros_like(p)) + g
                p -= self.rate * self.memory[p]


def optimizer(name: str, network: nn.Module):
    named = list(network.named_parameters())
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": DECAY[name]},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, RATES[name], momentum=0.9)
    return torch.optim.AdamW(groups, RATES[name]) if name == "adamw" else Lars(groups, RATES[name])


def loss_of(network: nn.Module, images: Tensor) -> Tensor:
    return objectives.contrast(rows(network, images), TEMPERATURE)


def learnt(file: File, start: Callable[[], nn.Module], images: Tensor, names: list[str]) -> None:
    """Gradients of the first step, and what comes of a few."""
    for name in names:
        network = start().double().train()
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        steps = optimizer(name, network)
        losses = []
        for step in range(STEPS[name]):
            network.zero_grad()
            loss = loss_of(network, images)
            loss.backward()
            losses.append(loss.item())
            if name == "sgd" and step == 0:
                for key, parameter in network.named_parameters():
                    file.put(f"gradient/{key}", parameter.grad)
            steps.step()
        file.tensors[f"loss/{name}"] = np.array(losses)
        for key, value in network.state_dict().items():
            if value.ndim:
                file.put(f"after/{name}/{key}", value)
    file.case["optimizers"] = {
        name: {"steps": STEPS[name], "rate": RATES[name], "decay": DECAY[name]} for name in names
    }


def encoder(name: str, folder: Path) -> None:
    """Every way in which one encoder is exported, and what PyTorch makes of it."""
    size = encoders.FAMILIES[name].size
    example = torch.rand(3, 3, size, size)
    makes = {
        True: lambda: encoders.build(name, tiny=True, moved=True),
        False: lambda: folded(encoders.build(name, tiny=True, moved=True).eval()),
    }
    has_norms = any(isinstance(module, nn.BatchNorm2d) for module in makes[True]().modules())
    files: dict[bool, list[dict]] = {}
    for way in WAYS[name]:
        file = f"{name}.{way.name}.onnx"
        model = encoders.export(makes[True](), example, way.exporter, way.opset, way.kept, way.folding)
        kept = way.kept or not has_norms
        found, rest = matched(model, makes[kept]())
        (folder / file).write_bytes(model.SerializeToString(deterministic=True))
        files.setdefault(kept, []).append({"file": file, "initializers": found, "others": rest})
        print(file, sorted({node.op_type for node in model.graph.node}), "not parameters:", rest, flush=True)
    for kept, exported in files.items():
        generator = torch.Generator().manual_seed(7)
        batches = [noise(size, generator) for _ in range(12)]
        images = max(batches, key=lambda images: margin(makes[kept]().double().train(), images))
        written = File({"objective": f"contrast:temperature={TEMPERATURE}", "files": exported})
        written.put("images", images)
        learnt(written, makes[kept], images, list(STEPS) if name == "conv-small" and kept else ["sgd"])
        written.write(folder / f"{name}{'' if kept else '-folded'}.safetensors")


def untrained(folder: Path) -> None:
    """Encoders as they begin; their parameters cannot be told by name, so only losses are kept."""
    for name, ways in UNTRAINED.items():
        size = encoders.FAMILIES[name].size
        exported = []
        for way in ways:
            network = encoders.build(name, tiny=True)
            model = encoders.export(
                network, torch.rand(3, 3, size, size), way.exporter, way.opset, way.kept, way.folding
            )
            file = f"{name}-untrained.{way.name}.onnx"
            (folder / file).write_bytes(model.SerializeToString(deterministic=True))
            exported.append({"file": file, "initializers": {}, "others": []})
            print(file, len(model.graph.initializer), "initializers of", len(network.state_dict()), flush=True)
        images = noise(size, torch.Generator().manual_seed(7))
        written = File({"objective": f"contrast:temperature={TEMPERATURE}", "files": exported})
        learnt(written, lambda name=name: encoders.build(name, tiny=True), images, ["sgd"])
        written.tensors = {"loss/sgd": written.tensors["loss/sgd"]}
        written.put("images", images)
        written.write(folder / f"{name}-untrained.safetensors")


def odd(folder: Path) -> None:
    """An encoder of digits with an operator that has no derivative, in a node named `odd`."""
    weight = numpy_helper.from_array(np.full((4, 1, 7, 7), 0.1, np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["maps"], strides=[7, 7]),
        helper.make_node("Flatten", ["maps"], ["rows"]),
        helper.make_node("Hardmax", ["rows"], ["features"], name="odd"),
    ]
    values = [("image", ["N", 1, 28, 28]), ("features", ["N", 64])]
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)] for name, dims in values)
    graph = helper.make_graph(nodes, "odd", inputs, outputs, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "no-rule.onnx").write_bytes(model.SerializeToString(deterministic=True))


def plain(folder: Path) -> None:
    """Every objective on embeddings that are drawn."""
    torch.manual_seed(3)
    file = File({})
    cases = []
    batch, width = 6, 5
    views = torch.randn(3, batch, width)
    latents = torch.randn(3, batch, width)
    latents[1, 2] = torch.nan
    label = torch.tensor([0, 1, 0, -1, 2, 1])
    source = torch.tensor([4, 4, 5, 6, 7, 7])
    file.put("views", views)
    file.put("latents", latents)
    file.put("label", label)
    file.put("source", source)
    losses = {
        "contrast:temperature=0.5": lambda v: objectives.contrast(v, 0.5),
        "contrast:temperature=0.1": lambda v: objectives.contrast(v, 0.1),
        "supcon:temperature=0.2": lambda v: objectives.supcon(v, label, 0.2),
        "alignment:uniformity=0.7,t=2": lambda v: objectives.alignment(v, 0.7, 2.0),
        "barlow-twins:lambda=0.01": lambda v: objectives.barlow_twins(v, 0.01),
        "vicreg:invariance=25,variance=20,covariance=3": lambda v: objectives.vicreg(v, 25.0, 20.0, 3.0),
        "cross-entropy": lambda v: objectives.cross_entropy(v, label),
        "inverter": lambda v: objectives.inverter(v, list(latents[: len(v)].double())),
        "contrast:temperature=0.3": lambda v: objectives.contrast(v, 0.3, source),
    }
    for number, (objective, loss) in enumerate(losses.items()):
        for count in (2, 3):
            rows = [view.double().requires_grad_() for view in views[:count]]
            value = loss(rows)
            value.backward()
            key = f"{number}/{count}"
            file.put(f"loss/{key}", np.float64(value.item()))
            file.put(f"gradient/{key}", torch.stack([row.grad for row in rows]))
            cases.append({"objective": objective, "views": count, "key": key, "sources": objective.endswith("0.3")})
    file.case["objectives"] = cases
    file.write(folder / "objectives.safetensors")


def byol(folder: Path) -> None:
    """Three steps of BYOL with a head, a predictor and a slow copy; gradients are clipped."""
    keep, steps, rate, limit = 0.9, 3, 0.05, 0.5
    way = WAYS["conv-small"][0]
    network = encoders.build("conv-small", tiny=True, moved=True)
    width = 4 * 8
    torch.manual_seed(5)
    head, predictor = Head(width, [10, 6]), Head(6, [12, 6])
    images = noise(12, torch.Generator().manual_seed(7))
    model = encoders.export(
        encoders.build("conv-small", tiny=True, moved=True), torch.rand(3, 3, 12, 12), way.exporter, way.opset, True
    )
    found, rest = matched(model, network)
    case = {
        "objective": f"byol:momentum={keep}",
        "head": [10, 6],
        "keep": keep,
        "steps": steps,
        "rate": rate,
        "clip": limit,
    }
    file = File(case | {"files": [{"file": f"conv-small.{way.name}.onnx", "initializers": found, "others": rest}]})
    file.put("images", images)
    for name, value in (head.variables("head") | predictor.variables("predictor")).items():
        file.put(f"start/{name}", value.clone())
    network, head, predictor = (part.double().train() for part in (network, head, predictor))
    fast = nn.Sequential(network, head)
    slow_network, slow_head = (
        encoders.build("conv-small", tiny=True, moved=True).double().train(),
        Head(width, [10, 6]).double().train(),
    )
    slow_head.load_state_dict(head.state_dict())
    slow = nn.Sequential(slow_network, slow_head)
    moved = [*fast.parameters(), *predictor.parameters()]
    descent = torch.optim.SGD(moved, rate, momentum=0.9)
    losses, norms = [], []
    for _ in range(steps):
        descent.zero_grad()
        predicted = [None] * VIEWS
        # The predictor sees the views one after the other, as one batch.
        embedded = rows(fast, images)
        predicted = predictor(torch.cat(embedded)).chunk(VIEWS)
        with torch.no_grad():
            wanted = rows(slow, images)
        loss = objectives.byol(list(predicted), wanted)
        loss.backward()
        losses.append(loss.item())
        norms.append(nn.utils.clip_grad_norm_(moved, limit).item())
        descent.step()
        with torch.no_grad():
            for old, new in zip(slow.parameters(), fast.parameters()):
                old.mul_(keep).add_(new, alpha=1 - keep)
    file.tensors["loss"], file.tensors["norm"] = np.array(losses), np.array(norms)
    for name, value in network.state_dict().items():
        if value.ndim:
            file.put(f"after/{name}", value)
    for name, value in slow_network.named_parameters():
        file.put(f"after/target/{name}", value)
    for name, value in (head.variables("head") | predictor.variables("predictor")).items():
        file.put(f"after/{name}", value)
    for name, value in slow_head.variables("head").items():
        if not name.endswith((".mean", ".variance")):
            file.put(f"after/target/{name}", value)
    file.write(folder / "byol.safetensors")


OTHERS = {"untrained": untrained, "objectives": plain, "byol": byol, "no-rule": odd}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*WAYS, *OTHERS]))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in options.names or [*WAYS, *OTHERS]:
        if name in OTHERS:
            OTHERS[name](options.output)
        else:
            encoder(name, options.output)


if __name__ == "__main__":
    main()
