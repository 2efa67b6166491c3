"""Training by ONNX Runtime's own training API, for `genset train --backend ort-training`.

    python onnx/ort_training.py make loss.onnx -o artifacts/
    python onnx/ort_training.py serve

A graph with a loss goes in, as `genset train --backend ort-training --step-graph loss.onnx` writes it: its
first output is the loss, and its metadata name the parameters and the optimizer. `make` leaves what the training
API takes on any device: `training_model.onnx` (with gradients), `optimizer_model.onnx`, `eval_model.onnx` and `checkpoint`.
`serve` makes the same and trains with it, told what to do by messages on stdin; genset starts it by itself.

Needs `requirements-training.txt`, in an environment of its own: the training API ended with ONNX Runtime 1.19.2, which
has no wheel for Python 3.12 and later, and wants numpy below 2, onnx 1.16 and protobuf below 5. PyTorch is not needed.

A message is the length of a JSON document as four bytes, the document, and as many bytes as its `bytes` says;
all numbers little-endian. Answers are the same; one with `error` says why nothing was done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import struct
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

METADATA = "genset.training"
NEEDED = "install onnx/requirements-training.txt into an environment of its own"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    make_parser = verbs.add_parser("make", help="write the artifacts of a graph")
    make_parser.add_argument("graph", type=Path)
    make_parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    verbs.add_parser("serve", help="train, told by messages")
    arguments = parser.parse_args()
    if arguments.verb == "make":
        make(arguments.graph.read_bytes(), arguments.output)
        print(arguments.output)
    else:
        serve(sys.stdin.buffer, sys.stdout.buffer)


def runtime() -> types.ModuleType:
    """`onnxruntime` with its training API, without what the package that it is in brings along: PyTorch."""
    try:
        import onnxruntime
    except ImportError as error:
        raise SystemExit(f"ONNX Runtime cannot be imported ({error}): {NEEDED}") from error
    folder = Path(onnxruntime.__file__).parent / "training"
    if not (folder / "artifacts.py").is_file():
        raise SystemExit(f"onnxruntime {onnxruntime.__version__} has no training API: {NEEDED}")
    package = types.ModuleType("onnxruntime.training")
    package.__path__ = [str(folder)]
    sys.modules.setdefault("onnxruntime.training", package)
    onnxruntime.set_default_logger_severity(3)  # Errors alone.
    return onnxruntime


def make(graph: bytes, output: Path) -> dict:
    """Writes the artifacts of `graph` into the folder `output`; gives what its metadata say."""
    runtime()
    import onnx
    from onnxruntime.training import artifacts, onnxblock

    model = onnx.load_model_from_string(graph)
    said = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA)
    if said is None:
        raise SystemExit("the graph was not written by genset train --backend ort-training --step-graph")
    plan = json.loads(said)
    clip = None if plan["clip"] is None else onnxblock.optim.ClipGradNorm(plan["clip"])
    if plan["optimizer"] == "sgd":
        optimizer = onnxblock.optim.SGD(clip_grad=clip)
    else:
        betas, epsilon = (plan["beta1"], plan["beta2"]), plan["epsilon"]
        optimizer = onnxblock.optim.AdamW(betas=betas, eps=epsilon, weight_decay=0.0, clip_grad=clip)
    output.mkdir(parents=True, exist_ok=True)
    # The first output is the loss, so none is added.
    wanted = {"requires_grad": plan["parameters"], "loss": None, "optimizer": optimizer}
    with quiet():
        artifacts.generate_artifacts(model, artifact_directory=output, **wanted)
    # AdamW in the form of PyTorch and of the paper, with epsilon beside the corrected root, not before it.
    optimizer_model = onnx.load(output / "optimizer_model.onnx")
    for attribute in (a for node in optimizer_model.graph.node for a in node.attribute if a.name == "adam_mode"):
        attribute.i = 0
    onnx.save(optimizer_model, output / "optimizer_model.onnx")
    return plan


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps from the terminal what libraries write there, unless something fails: the builder of gradients tells of
    every pass over the graph, whatever it is told of severity."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            print(*(line for line in lines if "[I:onnxruntime" not in line), sep="\n", file=sys.stderr)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Session:
    """A model that is being trained, in a folder of its own."""

    def __init__(self, graph: bytes, threads: int, folder: Path) -> None:
        self.plan = make(graph, folder)
        self.folder = folder
        self.options = runtime().SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.load()

    def load(self) -> None:
        from onnxruntime.training.api import CheckpointState, Module, Optimizer

        self.state = CheckpointState.load_checkpoint(self.folder / "checkpoint")
        self.module = Module(self.folder / "training_model.onnx", self.state, session_options=self.options)
        self.optimizer = Optimizer(self.folder / "optimizer_model.onnx", self.module)
        self.module.train()

    def gather(self, tensors: dict) -> dict:
        """Adds the gradients of a batch; gives all outputs by name, and the norm of all gradients so far."""
        made = self.module(*(tensors[name] for name in self.module.input_names()))
        squares = [float((self.state.parameters[name].grad ** 2).sum()) for name in self.plan["parameters"]]
        outputs = dict(zip(self.module.output_names(), made, strict=True))
        return {**outputs, "gradient_norm": math.sqrt(sum(squares))}

    def move(self, rate: float) -> None:
        """Moves the parameters by the gradients that there are, and begins new ones."""
        self.optimizer.set_learning_rate(rate)
        self.optimizer.step()
        self.module.lazy_reset_grad()

    def save(self) -> bytes:
        """Parameters, and what the optimizer remembers."""
        from onnxruntime.training.api import CheckpointState

        CheckpointState.save_checkpoint(self.state, self.folder / "checkpoint", include_optimizer_state=True)
        return (self.folder / "checkpoint").read_bytes()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers messages until there are no more."""
    # Whoever started this ends it: an interrupt from the terminal is for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as scratch:
        session = None
        while (message := read(requests)) is not None:
            asked, content = message
            try:
                if asked["do"] == "open":
                    session = Session(content, asked["threads"], Path(scratch))
                    write(answers, {"inputs": session.module.input_names(), "onnxruntime": runtime().__version__})
                else:
                    write(answers, *answer(session, asked, content))
            except SystemExit as error:
                write(answers, {"error": str(error)})
            except Exception as error:  # Whatever it is, it is said to whoever asked.
                write(answers, {"error": f"{type(error).__name__}: {error}"})


def answer(session: Session, asked: dict, content: bytes) -> tuple[dict, bytes]:
    """What to say to a message about a session that is open."""
    import numpy as np

    parameters = session.state.parameters
    match asked["do"]:
        case "gather":
            tensors, at = {}, 0
            for name, kind, dims in asked["tensors"]:
                tensors[name] = np.frombuffer(content, kind, math.prod(dims), at).reshape(dims)
                at += tensors[name].nbytes
            made = session.gather(tensors)
            arrays = {name: np.ascontiguousarray(value, "<f4").reshape(-1) for name, value in made.items()}
            outputs = [[name, len(array)] for name, array in arrays.items()]
            return {"outputs": outputs}, b"".join(array.tobytes() for array in arrays.values())
        case "move":
            session.move(asked["rate"])
        case "get":
            return {}, parameters[asked["name"]].data.astype("<f4").tobytes()
        case "set":
            parameter = parameters[asked["name"]]
            parameter.data = np.frombuffer(content, "<f4").reshape(parameter.data.shape)
        case "save":
            return {}, session.save()
        case "load":
            (session.folder / "checkpoint").write_bytes(content)
            session.load()
        case other:
            raise ValueError(f"nothing is known of {other!r}")
    return {}, b""


def read(requests: BinaryIO) -> tuple[dict, bytes] | None:
    size = requests.read(4)
    if len(size) < 4:
        return None
    asked = json.loads(requests.read(struct.unpack("<I", size)[0]))
    return asked, requests.read(asked.get("bytes", 0))


def write(answers: BinaryIO, said: dict, content: bytes = b"") -> None:
    document = json.dumps({**said, "bytes": len(content)}).encode()
    answers.write(struct.pack("<I", len(document)) + document + content)
    answers.flush()


if __name__ == "__main__":
    main()
