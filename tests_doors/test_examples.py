"""The examples of docs/examples/ that need other packages: `make doors`.

A block is run as it stands there, in a process of its own. torch's structured trace says what was
compiled under the override.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
BLOCK = re.compile(r"<!-- make doors: (.+?) -->\n```python\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^    (inductor-override run .* -- (?:torchrun|accelerate) .*)$", re.M)


def first_block(page: str) -> str:
    return (EXAMPLES / page).read_text("utf-8").partition("```python\n")[2].partition("```")[0]


SCRIPT = first_block("script.md")
PLAIN = """
import torch
model = torch.compile(torch.nn.Linear(64, 64), mode="max-autotune")
model(torch.randn(8, 64)).sum().backward()
"""


def thresholds(trace: Path) -> set[str]:
    """The thresholds that torch's trace names, over all graphs and processes."""
    found = "".join(path.read_text() for path in trace.rglob("*.log"))
    return set(re.findall(r'^\t\{"max_autotune_gemm_min_sms": (-?\d+)', found, re.M))


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "TORCH_TRACE": str(folder / "trace"),
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"),
            "TORCHINDUCTOR_VEC_ISA_OK": "1",  # saves a compile of C++ in each process
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def blocks() -> Iterator[Any]:
    for page in sorted(EXAMPLES.glob("*.md")):
        for packages, code in BLOCK.findall(page.read_text("utf-8")):
            yield pytest.param(packages, code, id=packages)


@pytest.mark.parametrize(("packages", "code"), blocks())
def test_an_example_is_compiled_under_the_override(
    packages: str, code: str, tmp_path: Path
) -> None:
    for package in packages.split():
        importlib.metadata.version(package)
    (tmp_path / "example.py").write_text(code)
    run([sys.executable, "example.py"], tmp_path)
    assert thresholds(tmp_path / "trace") == {"0"}


@pytest.mark.xdist_group("launchers")  # they take one port
@pytest.mark.parametrize("command", COMMAND.findall((EXAMPLES / "launchers.md").read_text("utf-8")))
def test_a_launcher_s_processes_are_under_the_override(command: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PLAIN)
    run(["sh", "-c", command.replace("accelerate launch", "accelerate launch --cpu")], tmp_path)
    reports = [json.loads(line) for line in (tmp_path / "tuned.jsonl").read_text().splitlines()]
    compiled = [report for report in reports if report["graphs"]]
    assert len(compiled) == (2 if "torchrun" in command else 1)  # the launcher reports too


def test_a_notebook_shows_each_object_as_html(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbclient
    import nbformat

    example = first_block("notebook.md")
    # Without the reset Dynamo gives the example what it has compiled for the script.
    cells = [SCRIPT, "torch._dynamo.reset()", *example.splitlines()]
    cells += ["scope", "io.status()", "io.report()"]
    explained = (
        "io.explain(torch.nn.Linear(64, 64).half(), (torch.randn(8, 64).half(),), gpu='RTX 3060')"
    )
    made = [nbformat.v4.new_code_cell(cell) for cell in [*cells, explained]]
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=made)
    nbclient.NotebookClient(notebook, timeout=300).execute()
    shown = [cell.outputs[-1].get("data", {}) for cell in notebook.cells if cell.outputs]
    pages = [data["text/html"] for data in shown if "text/html" in data]
    scope, status, report, explanation = pages
    assert "<code>override(min_sms=0)</code>" in scope
    assert "inputs on the CPU" in scope
    assert "<table" in status
    assert "torch decides" in status
    # Forward and backward in the scope; the example's forward graph is the same.
    assert "2 graphs compiled, 1 graph from torch" in report
    assert "<table" in explanation
    assert "RTX 3060" in explanation
