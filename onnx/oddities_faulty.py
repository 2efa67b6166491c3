"""The generators of `oddities` that must be reported or refused."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from oddities_good import dynamic_batch
from oddities_table import FAULTY, HOSTILE, HUGE, IMAGE, latent, oddity
from tinygraph import F32, LATENT, SIDE, Graph

INSIDE = "external-data-inside.bin"

# Behaviour -----------------------------------------------------------------------


@oddity("latent-ignored", FAULTY)
def latent_ignored() -> ModelProto:
    """Two latents, z and style [N,4]; style is multiplied by zero."""
    graph = Graph()
    nothing = graph.op("Mul", graph.input("style", ["N", 4]), graph.constant(np.float32(0)))
    both = graph.op("Concat", latent(graph), nothing, axis=1)
    return graph.finish(graph.op("Tanh", graph.pixels(both, LATENT + 4)), IMAGE)


@oddity("constant-output", FAULTY)
def constant_output() -> ModelProto:
    """Always the same image: the only latent is multiplied by zero."""
    graph = Graph()
    nothing = graph.op("Mul", latent(graph), graph.constant(np.float32(0)))
    image = graph.op("Add", graph.pixels(nothing), graph.normal(3, SIDE, SIDE))
    return graph.finish(graph.op("Tanh", image), IMAGE)


@oddity("nan-always", FAULTY)
def nan_always() -> ModelProto:
    """Every pixel is NaN, whatever the latent (zero divided by zero)."""
    graph = Graph()
    nothing = graph.op("Mul", graph.pixels(latent(graph)), graph.constant(np.float32(0)))
    return graph.finish(graph.op("Tanh", graph.op("Div", nothing, nothing)), IMAGE)


@oddity("nan-sometimes", FAULTY)
def nan_sometimes() -> ModelProto:
    """NaN images for latents with z[0] < -1.5, about 1 in 15 (a square root of less than zero)."""
    graph = Graph()
    z = latent(graph)
    first = graph.op("Gather", z, graph.constant(np.array([0], np.int64)), axis=1)
    root = graph.op("Sqrt", graph.op("Add", first, graph.constant(np.float32(1.5))))
    return graph.finish(graph.op("Tanh", graph.pixels(graph.op("Mul", z, root))), IMAGE)


@oddity("hidden-random", FAULTY)
def hidden_random() -> ModelProto:
    """A RandomNormalLike node inside: equal latents give unequal images."""
    graph = Graph()
    image = graph.pixels(latent(graph))
    noisy = graph.op("Add", image, graph.op("RandomNormalLike", image, scale=0.1))
    return graph.finish(graph.op("Tanh", noisy), IMAGE)


@oddity("batch-statistics", FAULTY)
def batch_statistics() -> ModelProto:
    """An item depends on the others: the mean over the batch is subtracted."""
    graph = Graph()
    image = graph.pixels(latent(graph))
    mean = graph.op("ReduceMean", image, graph.constant(np.array([0], np.int64)), keepdims=1)
    return graph.finish(graph.op("Tanh", graph.op("Sub", image, mean)), IMAGE)


@oddity("batch-position", FAULTY)
def batch_position() -> ModelProto:
    """An item depends on its place in the batch: each is brighter than the one before."""
    graph = Graph()
    image = graph.pixels(latent(graph))
    one = graph.op("Exp", graph.op("Mul", image, graph.constant(np.float32(0))))
    place = graph.op("CumSum", one, graph.constant(np.int64(0)))
    brighter = graph.op("Mul", place, graph.constant(np.float32(0.1)))
    return graph.finish(graph.op("Tanh", graph.op("Add", image, brighter)), IMAGE)


@oddity("unknown-range", FAULTY)
def unknown_range() -> ModelProto:
    """Ends without an activation: the range of the output is not known."""
    graph = Graph()
    return graph.finish(graph.pixels(latent(graph)), IMAGE)


@oddity("not-a-generator", FAULTY)
def not_a_generator() -> ModelProto:
    """A classifier: image [N,3,8,8] -> logits [N,7]."""
    graph = Graph()
    flat = graph.reshape(graph.input("image", IMAGE), -1, 3 * SIDE * SIDE)
    return graph.finish(graph.linear(flat, 3 * SIDE * SIDE, 7), ["N", 7], name="logits")


@oddity("custom-operator", FAULTY)
def custom_operator() -> ModelProto:
    """Needs `FancyActivation` of the operator domain `com.example`."""
    graph = Graph()
    image = graph.op("FancyActivation", graph.pixels(latent(graph)), domain="com.example")
    return graph.finish(image, IMAGE, domains=["com.example"])


# External data -------------------------------------------------------------------


def external(location: str) -> ModelProto:
    """The plain generator with its matrix in the file `location`."""
    model = dynamic_batch()
    matrix = model.graph.initializer[0]
    size = len(matrix.raw_data)
    matrix.ClearField("raw_data")
    matrix.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(size)}.items():
        matrix.external_data.add(key=key, value=value)
    return model


def matrix_bytes() -> bytes:
    return dynamic_batch().graph.initializer[0].raw_data


@oddity("external-data-inside", **{INSIDE: matrix_bytes()})
def external_data_inside() -> ModelProto:
    """Like dynamic-batch, the weights in `external-data-inside.bin` beside it."""
    return external(INSIDE)


@oddity("external-data-missing", FAULTY)
def external_data_missing() -> ModelProto:
    """Weights in `missing.bin`, which is not there."""
    return external("missing.bin")


@oddity("external-data-outside", HOSTILE)
def external_data_outside() -> ModelProto:
    """Weights in `../outside.bin`: leaves the folder."""
    return external("../outside.bin")


@oddity("external-data-absolute", HOSTILE)
def external_data_absolute() -> ModelProto:
    """Weights in `/outside.bin`, an absolute path."""
    return external("/outside.bin")


# Size ----------------------------------------------------------------------------


def expanded(shape: list[int]) -> Graph:
    """A graph whose value `huge` is one pixel spread over `shape`."""
    graph = Graph()
    pixel = graph.op("Tanh", graph.reshape(graph.linear(latent(graph, 1), LATENT, 1), 1, 1, 1, 1))
    graph.huge = graph.op("Expand", pixel, graph.constant(np.array(shape, np.int64)))
    return graph


@oddity("terabyte-output", HOSTILE)
def terabyte_output() -> ModelProto:
    """Output declared as [1,3,1048576,1048576] float32: 12 TiB."""
    shape = [1, 3, HUGE, HUGE]
    graph = expanded(shape)
    return graph.finish(graph.huge, shape)


@oddity("terabyte-intermediate", HOSTILE)
def terabyte_intermediate() -> ModelProto:
    """Output [1,3,1,1], on the way to it a value of [1,3,1048576,1048576]: 12 TiB."""
    graph = expanded([1, 3, HUGE, HUGE])
    mean = graph.op("ReduceMean", graph.huge, graph.constant(np.array([2, 3], np.int64)), keepdims=1)
    return graph.finish(mean, [1, 3, 1, 1])


@oddity("overflow-output", HOSTILE)
def overflow_output() -> ModelProto:
    """Output declared as [1,3,2^31,2^31] float64: its size in bytes does not fit 64 bits."""
    graph = Graph()
    pixel = graph.op("Tanh", graph.linear(latent(graph, 1), LATENT, 1))
    return graph.finish(graph.op("Cast", pixel, to=TensorProto.DOUBLE), [1, 3, 1 << 31, 1 << 31], TensorProto.DOUBLE)


@oddity("terabyte-initializer", HOSTILE)
def terabyte_initializer() -> ModelProto:
    """A weight declared as float32 [8,2^40], 32 TiB, with no data."""
    model = dynamic_batch()
    matrix = model.graph.initializer[0]
    matrix.ClearField("raw_data")
    matrix.dims[:] = [LATENT, 1 << 40]
    return model


@oddity("negative-dimension", HOSTILE)
def negative_dimension() -> ModelProto:
    """Output declared as [-4,3,8,8]."""
    model = dynamic_batch()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("image", F32, [-4, 3, SIDE, SIDE]))
    return model


# Not a model ---------------------------------------------------------------------


@oddity("truncated", HOSTILE)
def truncated() -> bytes:
    """The first half of dynamic-batch.onnx."""
    whole = dynamic_batch().SerializeToString(deterministic=True)
    return whole[: len(whole) // 2]


@oddity("not-protobuf", HOSTILE)
def not_protobuf() -> bytes:
    """Plain text under the name of a model."""
    return b"This is not an ONNX model.\n" * 8


@oddity("empty", HOSTILE)
def empty() -> bytes:
    """A file of no bytes."""
    return b""
