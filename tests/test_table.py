"""The table of what works says what the runs said."""

from __future__ import annotations

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def test_the_table_is_generated_from_the_results() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "table.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_release_of_the_data_was_run() -> None:
    results = json.loads((ROOT / "compat" / "results.json").read_text())
    with (ROOT / "inductor_override" / "data" / "releases.csv").open(newline="") as file:
        wanted = {row["torch"] for row in csv.DictReader(file) if row["python"]}
    assert set(results) >= wanted


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("outcomes")


def test_what_a_report_says_of_each_capability(outcomes: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuite>
        <testcase classname="tests.test_simulation.TestLowering" name="test_it"/>
        <testcase classname="tests.test_unpatching" name="test_a"/>
        <testcase classname="tests.test_unpatching" name="test_b"><failure/></testcase>
        <testcase classname="tests.test_autotune_report.TestReport" name="test_it">
          <skipped message="not in this release"/></testcase>
        </testsuite>"""
    )
    found = outcomes.capabilities(report)
    assert found["simulated lowering reaches a Triton template"] == {"result": "pass"}
    assert found["un-patching exact"] == {"result": "fail", "reason": "test_b"}
    assert found["autotune report"] == {"result": "n/a", "reason": "not in this release"}
    assert found["threads"] == {"result": "fail", "reason": "no test of it was run"}


def test_every_capability_names_tests_that_there_are(outcomes: ModuleType) -> None:
    for capability, beginnings in outcomes.table().items():
        for beginning in beginnings:
            file, _, name = beginning.partition("::")
            text = (ROOT / "tests" / f"{file}.py").read_text()
            if f"def {name}" not in text:
                pytest.fail(f"{capability}: no test begins with {beginning}")
