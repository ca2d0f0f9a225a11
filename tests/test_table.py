"""The table of what works says what the runs said."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_table_is_generated_from_the_results():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "table.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_release_of_the_data_was_run():
    results = json.loads((ROOT / "compat" / "results.json").read_text())
    with (ROOT / "inductor_override" / "data" / "releases.csv").open(newline="") as file:
        wanted = {row["torch"] for row in csv.DictReader(file) if row["python"]}
    assert set(results) >= wanted


def test_every_capability_names_tests_that_there_are():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import outcomes
    finally:
        sys.path.pop(0)
    for capability, beginnings in outcomes.table().items():
        for beginning in beginnings:
            file, _, name = beginning.partition("::")
            text = (ROOT / "tests" / f"{file}.py").read_text()
            if f"def {name}" not in text:
                pytest.fail(f"{capability}: no test begins with {beginning}")
