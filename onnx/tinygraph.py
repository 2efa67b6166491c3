"""Small ONNX generators put together by hand, for `oddities`.

A `Graph` collects nodes and weights and ends as a checked-by-nobody
`ModelProto`: faulty models must come out as faulty as they were meant. Weights
come from `RandomState`, whose numbers NumPy keeps the same for good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

LATENT = 8
SIDE = 8
OPSET = 18
F32 = TensorProto.FLOAT


class Graph:
    """A generator under construction: names of values go in and out of its methods."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.RandomState(seed)
        self.nodes, self.inputs, self.outputs, self.weights = [], [], [], []

    def input(self, name: str, shape: Sequence[int | str], kind: int = F32) -> str:
        """Declares a graph input; a text in `shape` is a dynamic dimension."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def constant(self, value: np.ndarray) -> str:
        """Stores an array."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def normal(self, *shape: int) -> str:
        """Stores normal random weights f32 whose products keep about unit size."""
        scale = 1 / np.sqrt(shape[0])
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Adds a node with one output and gives the output's name."""
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def linear(self, value: str, inputs: int, outputs: int) -> str:
        """`[..., inputs]` -> `[..., outputs]` by a random matrix."""
        return self.op("MatMul", value, self.normal(inputs, outputs))

    def reshape(self, value: str, *shape: int) -> str:
        """Reshapes; -1 is what is left, 0 is as it was."""
        return self.op("Reshape", value, self.constant(np.array(shape, np.int64)))

    def pixels(self, value: str, inputs: int = LATENT, channels: int = 3, batch: int = -1) -> str:
        """`[N, inputs]` -> `[N, channels, 8, 8]`, of no particular range."""
        flat = self.linear(value, inputs, channels * SIDE * SIDE)
        return self.reshape(flat, batch, channels, SIDE, SIDE)

    def finish(
        self,
        value: str,
        shape: Sequence[int | str],
        kind: int = F32,
        name: str = "image",
        domains: Sequence[str] = (),
    ) -> ModelProto:
        """Makes `value` the output and closes the model."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        graph = helper.make_graph(self.nodes, "oddity", self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="genset-oddities")
