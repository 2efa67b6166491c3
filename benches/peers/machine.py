"""The machine, and genset's own examples built on it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def last_cores(count: int) -> list[int]:
    """The last cores: the first one tends to serve the machine's interrupts."""
    return sorted(os.sched_getaffinity(0))[-count:]


def busy_seconds(cores: list[int]) -> float:
    """How long these cores have worked since the machine was started, whoever for."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in {f"cpu{core}" for core in cores}:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, ticks[:8])
            total += user + nice + system + irq + softirq + steal
    return total / os.sysconf("SC_CLK_TCK")


def hardware() -> dict[str, object]:
    return {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.platform()}


def cpu() -> str:
    """Its name, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def build_example(name: str) -> Path:
    """Our side of every comparison is an example of the library."""
    subprocess.run(["cargo", "build", "--release", "--example", name, "--quiet"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / name
