"""Generators that are odd but sound: they must stream."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from oddities_table import IMAGE, latent, oddity
from tinygraph import LATENT, SIDE, Graph

# Batch ---------------------------------------------------------------------------


@oddity("dynamic-batch")
def dynamic_batch() -> ModelProto:
    """The plain one: z [N,8] -> image [N,3,8,8] in [-1,1]."""
    graph = Graph()
    return graph.finish(graph.op("Tanh", graph.pixels(latent(graph))), IMAGE)


@oddity("static-batch-4")
def static_batch_4() -> ModelProto:
    """Batch fixed at 4: z [4,8] -> image [4,3,8,8]."""
    graph = Graph()
    return graph.finish(graph.op("Tanh", graph.pixels(latent(graph, 4), batch=4)), [4, 3, SIDE, SIDE])


@oddity("static-batch-1")
def static_batch_1() -> ModelProto:
    """Batch fixed at 1: z [1,8] -> image [1,3,8,8]."""
    graph = Graph()
    return graph.finish(graph.op("Tanh", graph.pixels(latent(graph, 1), batch=1)), [1, 3, SIDE, SIDE])


@oddity("no-batch")
def no_batch() -> ModelProto:
    """No batch dimension: z [8] -> image [3,8,8]."""
    graph = Graph()
    flat = graph.linear(graph.input("z", [LATENT]), LATENT, 3 * SIDE * SIDE)
    return graph.finish(graph.op("Tanh", graph.reshape(flat, 3, SIDE, SIDE)), [3, SIDE, SIDE])


# Layout, channels ----------------------------------------------------------------


@oddity("nhwc")
def nhwc() -> ModelProto:
    """Channels last: image [N,8,8,3]."""
    graph = Graph()
    image = graph.op("Transpose", graph.pixels(latent(graph)), perm=[0, 2, 3, 1])
    return graph.finish(graph.op("Tanh", image), ["N", SIDE, SIDE, 3])


@oddity("flat-784")
def flat_784() -> ModelProto:
    """Flat output [N,784], as of an MLP for 1x28x28; z [N,4]."""
    graph = Graph()
    flat = graph.linear(graph.input("z", ["N", 4]), 4, 784)
    return graph.finish(graph.op("Tanh", flat), ["N", 784])


@oddity("flat-192")
def flat_192() -> ModelProto:
    """Flat output [N,192]: square only as 3x8x8 (order of channels still open)."""
    graph = Graph()
    flat = graph.linear(latent(graph), LATENT, 192)
    return graph.finish(graph.op("Tanh", flat), ["N", 192])


@oddity("flat-ambiguous")
def flat_ambiguous() -> ModelProto:
    """Flat output [N,256]: 1x16x16 or 4x8x8, which the file does not say."""
    graph = Graph()
    flat = graph.linear(latent(graph), LATENT, 256)
    return graph.finish(graph.op("Tanh", flat), ["N", 256])


@oddity("channels-1")
def channels_1() -> ModelProto:
    """One channel: image [N,1,8,8]."""
    graph = Graph()
    return graph.finish(graph.op("Tanh", graph.pixels(latent(graph), channels=1)), ["N", 1, SIDE, SIDE])


@oddity("channels-4")
def channels_4() -> ModelProto:
    """Four channels (with alpha): image [N,4,8,8]."""
    graph = Graph()
    return graph.finish(graph.op("Tanh", graph.pixels(latent(graph), channels=4)), ["N", 4, SIDE, SIDE])


# Element type and range ----------------------------------------------------------


def cast(kind: int) -> ModelProto:
    graph = Graph()
    image = graph.op("Tanh", graph.pixels(latent(graph)))
    return graph.finish(graph.op("Cast", image, to=kind), IMAGE, kind)


@oddity("output-f16")
def output_f16() -> ModelProto:
    """Output float16 in [-1,1]."""
    return cast(TensorProto.FLOAT16)


@oddity("output-f64")
def output_f64() -> ModelProto:
    """Output float64 in [-1,1]."""
    return cast(TensorProto.DOUBLE)


def to_255(graph: Graph) -> str:
    zero_one = graph.op("Sigmoid", graph.pixels(latent(graph)))
    return graph.op("Mul", zero_one, graph.constant(np.float32(255)))


@oddity("output-u8")
def output_u8() -> ModelProto:
    """Output uint8, 0 to 255."""
    graph = Graph()
    image = graph.op("Cast", graph.op("Round", to_255(graph)), to=TensorProto.UINT8)
    return graph.finish(image, IMAGE, TensorProto.UINT8)


@oddity("range-0-1")
def range_0_1() -> ModelProto:
    """Output float32 in [0,1]: ends in a sigmoid."""
    graph = Graph()
    return graph.finish(graph.op("Sigmoid", graph.pixels(latent(graph))), IMAGE)


@oddity("range-0-255")
def range_0_255() -> ModelProto:
    """Output float32 in [0,255]."""
    graph = Graph()
    return graph.finish(to_255(graph), IMAGE)


# Inputs --------------------------------------------------------------------------


@oddity("two-latents")
def two_latents() -> ModelProto:
    """Two latents, content [N,8] and style [N,4], both used."""
    graph = Graph()
    both = graph.op("Concat", graph.input("content", ["N", LATENT]), graph.input("style", ["N", 4]), axis=1)
    return graph.finish(graph.op("Tanh", graph.pixels(both, LATENT + 4)), IMAGE)


@oddity("latent-spatial")
def latent_spatial() -> ModelProto:
    """Latent z [N,8,1,1] into a transposed convolution, as DCGAN has it."""
    graph = Graph()
    seed = graph.op("ConvTranspose", graph.input("z", ["N", LATENT, 1, 1]), graph.normal(LATENT, 8, 4, 4))
    image = graph.op(
        "ConvTranspose", graph.op("Relu", seed), graph.normal(8, 3, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1]
    )
    return graph.finish(graph.op("Tanh", image), IMAGE)


@oddity("class-one-hot")
def class_one_hot() -> ModelProto:
    """Latent z [N,8] and class y float32 [N,5], one-hot."""
    graph = Graph()
    both = graph.op("Concat", latent(graph), graph.input("y", ["N", 5]), axis=1)
    return graph.finish(graph.op("Tanh", graph.pixels(both, LATENT + 5)), IMAGE)


@oddity("class-index")
def class_index() -> ModelProto:
    """Latent z [N,8] and class label int64 [N], below 5, that picks a row of a table."""
    graph = Graph()
    label = graph.input("label", ["N"], TensorProto.INT64)
    row = graph.op("Gather", graph.normal(5, LATENT), label, axis=0)
    return graph.finish(graph.op("Tanh", graph.pixels(graph.op("Add", latent(graph), row))), IMAGE)


@oddity("truncation-input")
def truncation_input() -> ModelProto:
    """Scalar float32 input `truncation_psi` [] that draws the mapped latent to its mean."""
    graph = Graph()
    mapped = graph.linear(latent(graph), LATENT, LATENT)
    mean = graph.normal(1, LATENT)
    away = graph.op("Mul", graph.op("Sub", mapped, mean), graph.input("truncation_psi", []))
    return graph.finish(graph.op("Tanh", graph.pixels(graph.op("Add", mean, away))), IMAGE)


@oddity("noise-inputs")
def noise_inputs() -> ModelProto:
    """Latent and two noise maps, noise_4 [N,1,4,4] and noise_8 [N,1,8,8], as in StyleGAN."""
    graph = Graph()
    small = graph.reshape(graph.linear(latent(graph), LATENT, 3 * 16), -1, 3, 4, 4)
    small = graph.op("Add", small, graph.op("Mul", graph.input("noise_4", ["N", 1, 4, 4]), graph.normal(3, 1, 1)))
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    large = graph.op("Resize", small, "", scales, mode="nearest")
    large = graph.op("Add", large, graph.op("Mul", graph.input("noise_8", ["N", 1, 8, 8]), graph.normal(3, 1, 1)))
    return graph.finish(graph.op("Tanh", large), IMAGE)


@oddity("constant-input")
def constant_input() -> ModelProto:
    """A further input `alpha` float32 [1], the fade of a growing GAN, constant in use."""
    graph = Graph()
    z = latent(graph)
    fine, coarse = graph.pixels(z), graph.pixels(z)
    alpha = graph.input("alpha", [1])
    rest = graph.op("Sub", graph.constant(np.float32(1)), alpha)
    mixed = graph.op("Add", graph.op("Mul", fine, alpha), graph.op("Mul", coarse, rest))
    return graph.finish(graph.op("Tanh", mixed), IMAGE)


@oddity("intermediate-latent")
def intermediate_latent() -> ModelProto:
    """Input w [N,2,8], one mapped latent a layer (StyleGAN's W+), no mapping network."""
    graph = Graph()
    w = graph.reshape(graph.input("w", ["N", 2, LATENT]), -1, 2 * LATENT)
    return graph.finish(graph.op("Tanh", graph.pixels(w, 2 * LATENT)), IMAGE)
