"""Every block of Python in the documentation runs, in its order, and the examples train."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import genset
import pytest

ROOT = Path(__file__).parents[3]
PAGES = ["README.md", "bindings/python/README.md", "docs/python.md", "docs/many-machines.md"]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / page).read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    monkeypatch.chdir(tmp_path)
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert blocks
    for block in blocks:
        line = text[: block.start()].count("\n") + 1
        # So that a failure names the line of the page.
        code = compile("\n" * line + block[1], str(ROOT / page), "exec")
        exec(code, names)


@pytest.mark.parametrize("script", ["simclr_folder.py", "simclr_generated.py"])
def test_examples_learn(script: str, tmp_path: Path) -> None:
    if script == "simclr_folder.py":
        pytest.importorskip("torchvision")
        one = {"count": 1, "latent": []}
        folder = genset.Dataset("builtin:digits", samples=1024, views=one)
        genset.export(folder, tmp_path / "photos", format="images")
    examples = tmp_path / "examples" / "python"
    examples.mkdir(parents=True)
    recipe = (ROOT / "examples/python/digits_views.toml").read_text()
    (examples / "digits_views.toml").write_text(recipe.replace("10_000", "1024"))
    command = [sys.executable, ROOT / "examples/python" / script, "--epochs", "2"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=os.environ, check=True, capture_output=True, text=True, timeout=300
    )
    first, second = (float(loss) for loss in re.findall(r"loss ([\d.]+)", ended.stdout))
    assert second < first


def test_one_line_differs_and_its_import() -> None:
    before, after = (
        (ROOT / "examples/python" / name).read_text().split('"""', 2)[2].splitlines()
        for name in ("simclr_folder.py", "simclr_generated.py")
    )
    gone = [line.strip() for line in before if line not in after]
    come = [line.strip() for line in after if line not in before]
    assert gone == [
        "from torchvision.datasets import ImageFolder",
        'dataset = ImageFolder("photos", transform=TwoViews(augment))',
    ]
    assert come == [
        "import genset.torch",
        'dataset = genset.torch.Dataset("examples/python/digits_views.toml")',
    ]
