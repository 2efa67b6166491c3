"""Writes tiny ONNX encoders for the tests of `genset probe`.

    python onnx/tiny_encoders.py -o tests/encoders

They look for edges: an image's features are how much it changes from left to
right and from top to bottom, which tells stripes apart wherever they begin, as
no linear function of the pixels does. No weight is random, so the files are the
same bytes every time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tinygraph import Graph

SIDE = 8
F32 = TensorProto.FLOAT


def edges() -> ModelProto:
    """[N,1,8,8] -> `features` [N,2], `pooled` [N,2,1,1], `maps` [N,2,8,8], `tokens` [N,64,2]."""
    graph = Graph()
    maps = _maps(graph, graph.input("x", ["N", 1, SIDE, SIDE]), 1)
    pooled = graph.op("GlobalAveragePool", maps)
    flat = graph.op("Flatten", pooled)
    rows = graph.op("Reshape", maps, graph.constant(np.array([0, 2, SIDE * SIDE], np.int64)))
    tokens = graph.op("Transpose", rows, perm=[0, 2, 1])
    outputs = [
        ("features", flat, ["N", 2]),
        ("pooled", pooled, ["N", 2, 1, 1]),
        ("maps", maps, ["N", 2, SIDE, SIDE]),
        ("tokens", tokens, ["N", SIDE * SIDE, 2]),
    ]
    return _finish(graph, outputs)


def edges_fixed() -> ModelProto:
    """The same for four images of three channels at a time, [4,3,8,8], that says in its
    metadata that it wants pixels in [-1, 1]."""
    graph = Graph()
    maps = _maps(graph, graph.input("x", [4, 3, SIDE, SIDE]), 3)
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", maps))
    model = _finish(graph, [("features", flat, [4, 2])])
    helper.set_model_props(model, {"genset.input": json.dumps({"range": [-1, 1]})})
    return model


def not_a_number() -> ModelProto:
    """[N,1,8,8] -> [N,1]: the root of what is left to 0.99 above the brightest pixel, which is not
    a number for an image with a white one. It has no parameters."""
    graph = Graph()
    image = graph.input("x", ["N", 1, SIDE, SIDE])
    brightest = graph.op("Flatten", graph.op("GlobalMaxPool", image))
    root = graph.op("Sqrt", graph.op("Sub", graph.constant(np.float32(0.99)), brightest))
    return _finish(graph, [("features", root, ["N", 1])])


ENCODERS = {"edges": edges, "edges-fixed": edges_fixed, "not-a-number": not_a_number}


def _maps(graph: Graph, image: str, channels: int) -> str:
    """`[N, channels, 8, 8]` -> `[N, 2, 8, 8]`: sizes of Sobel's derivatives."""
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / (8 * channels)
    kernel = np.stack([np.stack([way] * channels) for way in (across, across.T)])
    bias = graph.constant(np.zeros(2, np.float32))
    return graph.op("Abs", graph.op("Conv", image, graph.constant(kernel), bias, pads=[1, 1, 1, 1]))


def _finish(graph: Graph, outputs: list[tuple[str, str, list[int | str]]]) -> ModelProto:
    for name, value, shape in outputs:
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
        graph.outputs.append(helper.make_tensor_value_info(name, F32, shape))
    made = helper.make_graph(graph.nodes, "encoder", graph.inputs, graph.outputs, graph.weights)
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9, producer_name="genset-encoders")


def write(name: str, folder: Path) -> Path:
    """Writes one encoder into `folder`."""
    path = folder / f"{name}.onnx"
    path.write_bytes(ENCODERS[name]().SerializeToString(deterministic=True))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name in ENCODERS:
        write(name, folder)


if __name__ == "__main__":
    main()
