"""What a test report says about each capability of compat/capabilities.csv."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parent.parent
PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "n/a"


def table() -> dict[str, tuple[str, ...]]:
    """Capability to the beginnings of the names of its tests, as `test_file::test_name`."""
    with (ROOT / "compat" / "capabilities.csv").open(newline="") as file:
        return {row["capability"]: tuple(row["tests"].split()) for row in csv.DictReader(file)}


def capabilities(report: Path) -> dict[str, dict[str, str]]:
    """For each capability `{"result": ...}`, with the reason where it does not apply."""
    cases = [
        (f"{_module(case.get('classname') or '')}::{case.get('name')}", case)
        for case in ET.parse(report).iter("testcase")
    ]
    found = {}
    for capability, beginnings in table().items():
        mine = [case for name, case in cases if name.startswith(beginnings)]
        skipped = [s for case in mine if (s := case.find("skipped")) is not None]
        bad = [c for c in mine if c.find("failure") is not None or c.find("error") is not None]
        if bad or not mine:
            found[capability] = {"result": FAIL, "reason": _names(bad) or "no test of it was run"}
        elif len(skipped) == len(mine):
            found[capability] = {"result": NOT_APPLICABLE, "reason": skipped[0].get("message", "")}
        else:
            found[capability] = {"result": PASS}
    return found


def _module(classname: str) -> str:
    """`test_gate` of `tests.test_gate`, and of `tests.test_gate.TestClass`."""
    return next((part for part in classname.split(".") if part.startswith("test_")), classname)


def any_passed(report: Path) -> bool:
    return any(not len(case) for case in ET.parse(report).iter("testcase"))


def _names(cases: list[ET.Element]) -> str:
    return ", ".join(str(case.get("name")) for case in cases)
