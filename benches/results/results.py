"""Makes docs/results.md: how good encoders get that learnt from generated views, beside real ones.

    pip install --require-hashes -r benches/peers/requirements-throughput.txt
    cargo build --release
    python benches/results/results.py --jobs 2

For each dataset, each setting (`settings.py`) and each seed it trains an encoder by `genset train` and
probes it on the real test set by `genset probe`. A seed decides what the generator draws, the encoder's
first parameters, its head and the order of stored images. Real images are used by settings that say
so, and by every probe: it learns the classes from labelled real images, features fixed.

What was found is in docs/results.json, one entry a run, so an interrupted run goes on with what
is missing, and `--page` writes the page and its plots anew from it alone. MNIST and Fashion-MNIST are
fetched as onnx/data.py does. All numbers but the seconds are the same on every run on one machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock

import page
from settings import DATASETS, DIRECTIONS, Setting, settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "onnx"))
import data

RESULTS = ROOT / "docs" / "results.json"
SEEDS = (0, 1, 2)
ENCODER, BATCH = "conv-small", 128
PROBE_IMAGES = 20_000


def main() -> None:
    arguments = parse()
    if not arguments.page:
        run(arguments)
    document = json.loads(RESULTS.read_text())
    page.write(document, ROOT / "docs")
    print(f"{ROOT / 'docs' / 'results.md'}: {len(document['runs'])} runs")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genset", type=Path, default=ROOT / "target/release/genset", metavar="COMMAND")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on --threads")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run's steps")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many")
    parser.add_argument("--only", nargs="+", metavar="SETTING", help="these settings, or names that begin so")
    parser.add_argument("--page", action="store_true", help="run nothing; write the page from what is there")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    known = {"encoder": ENCODER, "steps": arguments.steps, "batch": BATCH, "probe_images": PROBE_IMAGES}
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {**known, "runs": {}}
    if any(document[key] != value for key, value in known.items()):
        raise SystemExit(f"{RESULTS} is of other runs ({document['steps']} steps): remove it to begin anew")
    document["machine"] = {"machine": platform.machine(), "threads": arguments.threads}
    lock = Lock()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(arguments.jobs) as pool:
        planned = plan(Path(scratch), arguments)
        for dataset in DATASETS:
            if dataset not in document.setdefault("baselines", {}):
                document["baselines"][dataset] = baselines(Path(scratch) / dataset, arguments)

        def one(key: str, folder: Path, setting: Setting, seed: int) -> None:
            found = measure(folder, setting, seed, arguments)
            with lock:
                document["runs"][key] = found
                save(document)
                print(f"{key}: linear {found['linear']:.4f}, kNN {found['knn']:.4f}", flush=True)

        todo = [(key, *rest) for key, *rest in planned if key not in document["runs"]]
        print(f"{len(todo)} runs of {len(planned)} to do", flush=True)
        try:
            for done in as_completed([pool.submit(one, *rest) for rest in todo]):
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
    save(document)


def plan(scratch: Path, arguments: argparse.Namespace) -> list[tuple[str, Path, Setting, int]]:
    """Every run, the main comparison of all seeds first."""
    planned = []
    for dataset in DATASETS:
        folder = scratch / dataset
        folder.mkdir()
        genset(arguments, "directions", f"builtin:{dataset}", "-o", folder / DIRECTIONS)
        # A recipe reads nothing outside of its folder.
        for file in data.fetch(dataset, data.default_cache()).glob("*-ubyte*"):
            shutil.copyfile(file, folder / file.name)
        for place, setting in enumerate(settings(dataset, images(folder, "train").name)):
            if arguments.only and not setting.name.startswith(tuple(arguments.only)):
                continue
            later = setting.name.startswith(("std-", "unique-"))
            for seed in SEEDS[: arguments.seeds]:
                key = f"{dataset}/{setting.name}/{seed}"
                planned.append(((later, seed, place), (key, folder, setting, seed)))
    return [one for _, one in sorted(planned, key=lambda pair: pair[0])]


def images(folder: Path, split: str) -> Path:
    """The IDX file of the real images, packed or not."""
    return next(folder.glob(f"{split}-images-idx3-ubyte*"))


def measure(folder: Path, setting: Setting, seed: int, arguments: argparse.Namespace) -> dict:
    """Trains and probes one encoder."""
    recipe = folder / f"{setting.name}-{seed}.toml"
    recipe.write_text(setting.recipe.replace("SEED", str(100 + seed)))
    with tempfile.TemporaryDirectory(dir=folder) as work:
        start, output = Path(work) / "start.onnx", Path(work) / "run"
        genset(arguments, "encoder", ENCODER, "--channels", 1, "--size", 28, "--seed", seed, "-o", start)
        words = ["--encoder", start, "-o", output, "--steps", arguments.steps, "--batch", BATCH, "--seed", seed]
        trained = genset(arguments, "train", recipe, *words, "--step-threads", arguments.threads, "--threads", 1)
        found = probe(folder, output / "encoder.onnx", arguments, "--no-baselines")
    return {**accuracies(found["features"]), "loss": trained["last"]["loss"], "step_seconds": trained["step_seconds"]}


def accuracies(outcome: dict) -> dict:
    """The shares of the test images that both probes tell."""
    return {"linear": outcome["linear"]["accuracy"]["value"], "knn": outcome["knn"]["accuracy"]["value"]}


def baselines(folder: Path, arguments: argparse.Namespace) -> dict:
    """Raw pixels and an untrained encoder, by the same probe."""
    start = folder / "start.onnx"
    genset(arguments, "encoder", ENCODER, "--channels", 1, "--size", 28, "-o", start)
    found = probe(folder, start, arguments)
    return {baseline["name"]: accuracies(baseline) for baseline in found["baselines"]}


def probe(folder: Path, encoder: Path, arguments: argparse.Namespace, *more: object) -> dict:
    words = ["--train", images(folder, "train"), "--test", images(folder, "t10k"), "--limit", PROBE_IMAGES]
    return genset(arguments, "probe", encoder, *words, "--workers", 1, *more)


def genset(arguments: argparse.Namespace, *words: object) -> dict:
    """What the command says as JSON."""
    done = subprocess.run([arguments.genset, "--json", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"genset {' '.join(map(str, words))}\n{done.stderr}")
    return json.loads(done.stdout)


def save(document: dict) -> None:
    new = RESULTS.with_suffix(".new")
    document["runs"] = dict(sorted(document["runs"].items()))
    new.write_text(json.dumps(document, indent=1) + "\n")
    new.replace(RESULTS)


if __name__ == "__main__":
    main()
