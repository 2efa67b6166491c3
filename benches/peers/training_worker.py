"""One contender of training.py in a process of its own: PyTorch, told by lines of JSON what to do.

    python benches/peers/training_worker.py --encoder resnet-tiny --batch 64 --threads 2 [--bf16] [--channels-last]

It answers `{"versions": …, "parameters": P}` when ready, then each `{"seconds": S}` with
`{"images": N, "seconds": T, "steps": K}`. Its images are there before it begins: it never waits for data.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from processes import Requests

SIDE = 32
CHANNELS = 3
VIEWS = 2
TEMPERATURE = 0.2


class Block(nn.Module):
    """Two convolutions, and the input added to what they make (He and others 2016)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.short = nn.Sequential()
        if stride != 1 or inside != outside:
            self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        made = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(made)) + self.short(x))


class Residual(nn.Module):
    """As `genset encoder` makes them: a stem of 3 x 3, stages of blocks, the mean over pixels."""

    def __init__(self, stem: int, stages: list[tuple[int, int]]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(CHANNELS, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        blocks, inside = [], stem
        for stage, (outside, count) in enumerate(stages):
            for block in range(count):
                blocks.append(Block(inside, outside, 2 if stage > 0 and block == 0 else 1))
                inside = outside
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.stem(x)).mean((2, 3))


ENCODERS = {
    "resnet-tiny": (lambda: Residual(32, [(32, 1), (64, 1), (128, 1)]), 128),
    "resnet18-cifar": (lambda: Residual(64, [(64, 2), (128, 2), (256, 2), (512, 2)]), 512),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=ENCODERS, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    make, width = ENCODERS[arguments.encoder]
    encoder = make()
    head = nn.Sequential(nn.Linear(width, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, head)
    images = torch.randint(0, 256, (arguments.batch * VIEWS, CHANNELS, SIDE, SIDE), dtype=torch.uint8)
    if arguments.channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    model.train()
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
            embedded = model(images.float().mul_(1 / 255))
        loss(embedded.float()).backward()
        optimizer.step()

    step()
    requests = Requests()
    parameters = sum(p.numel() for p in encoder.parameters())
    requests.answer({"versions": {"PyTorch": torch.__version__}, "parameters": parameters})
    for request in requests:
        begun, steps = time.perf_counter(), 0
        while True:
            step()
            steps += 1
            seconds = time.perf_counter() - begun
            if seconds >= request["seconds"]:
                break
        requests.answer({"images": steps * len(images), "seconds": seconds, "steps": steps})


def loss(embedded: Tensor) -> Tensor:
    """NT-Xent of views that follow each other, sample by sample."""
    z = functional.normalize(embedded)
    similarity = z @ z.T / TEMPERATURE
    rows = torch.arange(len(z))
    similarity = similarity.masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))
    return functional.cross_entropy(similarity, rows ^ 1)


if __name__ == "__main__":
    main()
