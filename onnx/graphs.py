"""From a PyTorch network to a plain ONNX file, and the proof that they agree.

What comes out has one dynamic dimension `N`, standard operators only, batch
normalisation folded into the convolutions, weights inside, and no trace of the
machine that made it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, numpy_helper
from torch import nn

OPSET = 18
IR_VERSION = 9  # the oldest that suits the opset, for old runtimes
OUTPUT = "image"
TOLERANCE = 1e-4
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}


class ExportError(Exception):
    """The network cannot be exported as asked; the text says what to do."""


def to_onnx(network: nn.Module, examples: Mapping[str, torch.Tensor]) -> ModelProto:
    """Exports `network` called with `examples` (in order; batch of 2 or more).

    The first dimension of every input becomes dynamic.
    """
    batch = {0: torch.export.Dim.DYNAMIC}
    chatter = io.StringIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(chatter), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network.eval(),
                tuple(examples.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(examples),
                output_names=[OUTPUT],
                dynamic_shapes=tuple(batch for _ in examples),
            )
    except Exception as error:
        raise ExportError(f"PyTorch could not export the network: {error}") from error
    model = program.model_proto
    tidy(model)
    refuse_odd_nodes(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def tidy(model: ModelProto) -> None:
    """Names the batch dimension `N`, settles `Squeeze`, drops names of files and modules."""
    settle_squeezes(model)
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        dimension = value.type.tensor_type.shape.dim[0]
        if not dimension.dim_param:
            raise ExportError(f"`{value.name}` has a fixed first dimension; the network fixes the batch size")
        dimension.dim_param = "N"
    del graph.value_info[:]
    for part in [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        part.doc_string = ""
    graph.name = "generator"
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "genset", ""


def settle_squeezes(model: ModelProto) -> None:
    """Gives every `Squeeze` without axes the dimensions that are 1 whatever the batch.

    Networks that call `z.squeeze()` would lose the batch dimension at N = 1.
    """
    shapes = {value.name: value.type.tensor_type.shape for value in [*model.graph.input, *model.graph.value_info]}
    for node in model.graph.node:
        if node.op_type != "Squeeze" or len(node.input) > 1:
            continue
        if node.input[0] not in shapes:
            raise ExportError(f"`squeeze()` of `{node.input[0]}`, whose shape is not known; name its dimensions")
        dimensions = shapes[node.input[0]].dim
        axes = [axis for axis, size in enumerate(dimensions) if size.HasField("dim_value") and size.dim_value == 1]
        if axes:
            name = f"{node.output[0]}_axes"
            model.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), name))
            node.input.append(name)
        else:
            node.op_type = "Identity"


def refuse_odd_nodes(model: ModelProto) -> None:
    """Refuses random nodes and operators outside the ONNX standard."""
    for node in model.graph.node:
        if node.op_type in RANDOM:
            raise ExportError(f"{node.op_type} in the graph: the network draws noise by itself; make it an input")
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(f"operator {node.domain}::{node.op_type} is not standard ONNX")


def session(model: ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def difference(model: ModelProto, network: nn.Module, examples: Mapping[str, torch.Tensor]) -> float:
    """Largest absolute difference of ONNX Runtime and PyTorch, whole batch and item by item.

    Every item is also run as a batch of its own, so a graph that only holds for
    one batch size, or in which items see each other, shows.
    """
    runtime = session(model)
    network.eval()
    expected = network(*examples.values()).float().numpy()
    feeds = {name: value.numpy() for name, value in examples.items()}
    results = [runtime.run(None, feeds)[0]]
    items = [{name: value[row : row + 1] for name, value in feeds.items()} for row in range(len(expected))]
    results.append(np.concatenate([runtime.run(None, item)[0] for item in items]))
    for result in results:
        if result.shape != expected.shape:
            raise ExportError(f"ONNX Runtime gives {list(result.shape)}, PyTorch {list(expected.shape)}")
    return max(float(np.abs(result.astype(np.float32) - expected).max()) for result in results)


def metadata(model: ModelProto) -> dict[str, str]:
    """The model's metadata by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def output_shape(model: ModelProto) -> list[int | str]:
    """The declared shape of the output; dynamic dimensions by name."""
    dimensions = model.graph.output[0].type.tensor_type.shape.dim
    return [size.dim_param or size.dim_value for size in dimensions]


