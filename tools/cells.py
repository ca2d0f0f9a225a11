"""Run the tests on one torch release after another, each in an environment of its own.

    python tools/cells.py 2.0.1 2.9.1 newest     # these
    python tools/cells.py --only 2.9             # the row of that release
    python tools/cells.py --all --record         # every row, and what is newer than the last;
                                                 # results go to compat/results.json
    python tools/cells.py --coverage 2.9.1       # notes which lines ran; `make coverage` shows them
    python tools/cells.py --all --record --missing   # go on after an interruption

An environment takes 4 to 7 GB (a CUDA build of torch, whatever the machine has), so it and the
download cache are deleted before the next one is made. Exits with 1 if a cell failed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import outcomes

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".cells"
RESULTS = ROOT / "compat" / "results.json"
NEWEST = "newest"
# What one release shows for all: `make test` and `make test-slow` run them. Single tests of other
# files have the mark `same_everywhere`.
SAME_EVERYWHERE = (
    *("test_catalogue.py", "test_cli.py", "test_explain.py", "test_numbers.py", "test_page.py"),
    *("test_compare.py", "test_compare_cpu.py", "test_compare_page.py", "test_compare_verdict.py"),
    *("test_clocks.py", "test_comparison_statistics.py", "test_recommend.py", "test_table.py"),
    *("test_doctor.py", "test_fuzz.py", "test_guide.py", "test_terminals.py"),
)
# Where coverage runs in the compile child too, pickle looks for `torch.contiguous_format` in the
# wrong module there.
COVERAGE_LEAVES_OUT = ("-k", "not test_a_compile_child_lowers")
SUMMARY = re.compile(r" in [0-9.]+s( \([0-9:]+\))?( =+)?$")
SHOWN = ("torch", "triton", "wrapt")


@dataclass
class Cell:
    """One row of data/releases.csv, or the newest release that the registry has."""

    name: str
    python: str
    patch_module: str
    resolution: str
    also_install: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=dict)
    outcome: str = "not run"
    summary: str = ""
    seconds: float = 0.0
    capabilities: dict[str, dict[str, str]] = field(default_factory=dict)
    commit: str = ""

    def as_result(self) -> dict[str, Any]:
        return {
            "versions": self.versions,
            "patch_module": self.patch_module,
            "resolution": self.resolution,
            "outcome": self.outcome,
            "tests": self.summary,
            "seconds": round(self.seconds),
            "date": time.strftime("%Y-%m-%d"),
            "commit": self.commit,
            "capabilities": self.capabilities,
        }


def rows() -> dict[str, Cell]:
    with (ROOT / "inductor_override" / "data" / "releases.csv").open(newline="") as file:
        cells = {
            row["torch"]: Cell(
                row["torch"],
                row["python"],
                row["patch_module"],
                row["resolution"],
                tuple(row["also_install"].split()),
            )
            for row in csv.DictReader(file)
            if row["python"]  # the others differ from their neighbour in nothing but Triton
        }
    last = list(cells.values())[-1]
    newest = Cell(NEWEST, last.python, last.patch_module, last.resolution, last.also_install)
    return {**cells, NEWEST: newest}


def newest_release() -> str:
    """What the registry would give to someone who asks for torch, without downloading it."""
    found = subprocess.run(
        [sys.executable, "-m", "uv", "-q", "pip", "compile", "--no-deps", "--no-header"]
        + ["--no-annotate", "-"],
        input="torch",
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip().partition("==")[2].partition("+")[0]


def commit() -> str:
    """Which code is run: the commit that changed it last, with a `+` if it was changed since."""
    git = ["git", "-C", str(ROOT)]
    code = ["--", "inductor_override", "tests", "pyproject.toml"]
    last = [*git, "log", "-1", "--format=%h", *code]
    name = subprocess.run(last, capture_output=True, text=True, check=False)
    status = [*git, "status", "--porcelain", *code]
    changed = subprocess.run(status, capture_output=True, check=False)
    return name.stdout.strip() + ("+" if changed.stdout else "")


def interpreter(version: str) -> str:
    """A Python of this version: on the path, or one of pyenv's, else what uv makes of it."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        found = Path(root.stdout.strip() or ".").glob(f"versions/{version}.*/bin/python{version}")
        candidates += [str(path) for path in found]
    for candidate in candidates:
        # A shim of pyenv's is on the path also when its version is not chosen: it then fails.
        if candidate and not subprocess.run([candidate, "-V"], capture_output=True).returncode:
            return candidate
    return version


def run(cell: Cell, pytest_arguments: list[str], *, coverage: bool) -> None:
    """Make the environment, run the tests in it, delete it."""
    started, cell.commit = time.monotonic(), commit()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    environment, report = WORK / "env", WORK / "report.xml"
    python = str(environment / "bin" / "python")
    uv = [sys.executable, "-m", "uv", "-q", "--cache-dir", str(WORK / "cache")]
    torch = "torch" if cell.name == NEWEST else f"torch=={cell.name}"
    install = [*uv, "pip", "install", "--python", python, "--resolution", cell.resolution]
    show = (
        "import json, platform\nfrom importlib.metadata import version\n"
        f"print(json.dumps({{'python': platform.python_version()}} | "
        f"{{name: version(name) for name in {SHOWN}}}))"
    )
    try:
        checked([*uv, "venv", "--python", interpreter(cell.python), str(environment)])
        extras = "test,coverage" if coverage else "test"
        checked([*install, torch, *cell.also_install, f"{ROOT}[{extras}]"])
        cell.versions = json.loads(checked([python, "-c", show]))
        tests = [f"--ignore=tests/{name}" for name in SAME_EVERYWHERE]
        done = subprocess.run(
            [
                *(python, "-m", *(("coverage", "run", "-m") if coverage else ()), "pytest"),
                "-q",
                "-n2",
                "--dist=loadfile",
                "--color=no",
                f"--junit-xml={report}",
                "-m",
                "not same_everywhere",
                *tests,
                *(COVERAGE_LEAVES_OUT if coverage else ()),
            ]
            + pytest_arguments,
            cwd=ROOT,
            env={
                **os.environ,
                "INDUCTOR_OVERRIDE_CELL": f"{cell.versions['torch']} {cell.patch_module}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        # Not the last line: an old torch prints more when its process ends.
        cell.summary = next((line for line in reversed(lines) if SUMMARY.search(line)), "")
        cell.outcome = "passed" if done.returncode == 0 else "FAILED"
        if done.returncode:
            print("\n".join(lines[-200:]))
        if report.exists():
            cell.capabilities = outcomes.capabilities(report)
            if not outcomes.any_passed(report):
                cell.outcome, cell.summary = "FAILED", "no test was run"
    except subprocess.CalledProcessError as error:
        cell.outcome, cell.summary = "FAILED", f"could not be made: {error.stderr or error}"
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
        cell.seconds = time.monotonic() - started


def checked(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def recorded() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def record(cell: Cell, known: dict[str, Cell]) -> None:
    """Under the release's own number: the newest may be one that has a row already."""
    results = recorded()
    results[cell.versions.get("torch", cell.name).partition("+")[0]] = cell.as_result()
    order = {name: i for i, name in enumerate(known)}
    results = dict(sorted(results.items(), key=lambda item: order.get(item[0], len(order))))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def main() -> int:
    known = rows()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("releases", nargs="*", metavar="RELEASE", help=", ".join(known))
    parser.add_argument("--only", metavar="RELEASE", help="such as 2.9")
    parser.add_argument(
        "--all", action="store_true", help="every row of inductor_override/data/releases.csv"
    )
    parser.add_argument("--record", action="store_true", help="write compat/results.json")
    parser.add_argument("--missing", action="store_true", help="only what has not passed yet")
    parser.add_argument("--coverage", action="store_true", help="note which lines ran: .coverage.*")
    parser.add_argument("--pytest", default="", help="further arguments for pytest")
    asked = parser.parse_args()
    names = asked.releases
    if asked.all:
        names = [name for name in known if name != NEWEST or newest_release() not in {"", *known}]
    if asked.only:
        names = [n for n in known if n == asked.only or n.startswith(f"{asked.only}.")]
    if asked.missing:
        names = [n for n in names if recorded().get(n, {}).get("outcome") != "passed"]
    unknown = [name for name in names if name not in known]
    if unknown or not (names or asked.missing):
        parser.error(f"{unknown or 'nothing'} asked for; there is {', '.join(known)}")

    if asked.all and asked.record and not asked.missing:
        RESULTS.unlink(missing_ok=True)  # or an interrupted run would take these for its own
    cells = [known[name] for name in names]
    for cell in cells:
        print(f"torch {cell.name} on Python {cell.python} ...", flush=True)
        run(cell, asked.pytest.split(), coverage=asked.coverage)
        if asked.record:
            record(cell, known)
        print(f"torch {cell.versions.get('torch', cell.name)}: {cell.summary}", flush=True)

    print(f"\n{'torch':<16} {'python':<8} {'patch module':<14} {'outcome':<9} {'seconds':>7}")
    for cell in cells:
        print(
            f"{cell.versions.get('torch', cell.name):<16} {cell.python:<8} "
            f"{cell.patch_module:<14} {cell.outcome:<9} {cell.seconds:>7.0f}"
        )
    failed = [cell for cell in cells if cell.outcome != "passed"]
    print(f"\n{len(cells) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
