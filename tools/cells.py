"""Run the tests on one torch release after another, each in an environment of its own.

    python tools/cells.py 2.0.1 2.9.1 newest     # these
    python tools/cells.py --all                  # every row of compat/releases.csv, and the newest

An environment takes 4 to 7 GB (a CUDA build of torch, whatever the machine has), so it and the
download cache are deleted before the next one is made. Exits with 1 if a cell failed.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".cells"
NEWEST = "newest"


@dataclass
class Cell:
    """One row of compat/releases.csv, or the newest release that the registry has."""

    name: str
    python: str
    patch_module: str
    also_install: tuple[str, ...]
    version: str = "?"
    outcome: str = "not run"
    summary: str = ""
    seconds: float = 0.0


def rows() -> dict[str, Cell]:
    with (ROOT / "compat" / "releases.csv").open(newline="") as file:
        cells = {
            row["torch"]: Cell(
                row["torch"], row["python"], row["patch_module"], tuple(row["also_install"].split())
            )
            for row in csv.DictReader(file)
        }
    last = list(cells.values())[-1]
    cells[NEWEST] = Cell(NEWEST, last.python, last.patch_module, last.also_install)
    return cells


def interpreter(version: str) -> str:
    """A Python of this version: on the path, or one of pyenv's, else what uv makes of it."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        found = Path(root.stdout.strip() or ".").glob(f"versions/{version}.*/bin/python")
        candidates += [str(path) for path in found]
    for candidate in candidates:
        # A shim of pyenv's is on the path also when its version is not chosen: it then fails.
        if candidate and not subprocess.run([candidate, "-V"], capture_output=True).returncode:
            return candidate
    return version


def run(cell: Cell, pytest_arguments: list[str]) -> None:
    """Make the environment, run the tests in it, delete it."""
    started = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    environment, report = WORK / "env", WORK / "report.xml"
    python = environment / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "-q", "--cache-dir", str(WORK / "cache")]
    torch = "torch" if cell.name == NEWEST else f"torch=={cell.name}"
    install = [*uv, "pip", "install", "--python", str(python)]
    try:
        checked([*uv, "venv", "--python", interpreter(cell.python), str(environment)])
        checked([*install, torch, *cell.also_install, f"{ROOT}[test]"])
        cell.version = checked(
            [str(python), "-c", "from importlib.metadata import version; print(version('torch'))"]
        ).strip()
        done = subprocess.run(
            [str(python), "-m", "pytest", "-q", "--color=no", f"--junit-xml={report}", "tests"]
            + pytest_arguments,
            cwd=ROOT,
            env={**os.environ, "INDUCTOR_OVERRIDE_CELL": f"{cell.version} {cell.patch_module}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        cell.summary = lines[-1] if lines else ""
        cell.outcome = "passed" if done.returncode == 0 else "FAILED"
        if done.returncode:
            print("\n".join(lines[-200:]))
        if report.exists():
            suite = ElementTree.parse(report).getroot().find("testsuite")
            assert suite is not None
            if int(suite.get("tests", 0)) <= int(suite.get("skipped", 0)):
                cell.outcome = "FAILED"
                cell.summary = "no test was run"
    except subprocess.CalledProcessError as error:
        cell.outcome, cell.summary = "FAILED", f"could not be made: {error.stderr or error}"
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
        cell.seconds = time.monotonic() - started


def checked(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def main() -> int:
    known = rows()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("releases", nargs="*", metavar="RELEASE", help=", ".join(known))
    parser.add_argument("--all", action="store_true", help="every release")
    parser.add_argument("--pytest", default="", help="further arguments for pytest")
    asked = parser.parse_args()
    names = list(known) if asked.all else asked.releases
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        parser.error(f"{unknown or 'nothing'} asked for; there is {', '.join(known)}")

    cells = [known[name] for name in names]
    for cell in cells:
        print(f"torch {cell.name} on Python {cell.python} ...", flush=True)
        run(cell, asked.pytest.split())
        print(f"torch {cell.version}: {cell.summary}", flush=True)

    print(f"\n{'torch':<16} {'python':<8} {'patch module':<14} {'outcome':<9} {'seconds':>7}")
    for cell in cells:
        print(
            f"{cell.version:<16} {cell.python:<8} {cell.patch_module:<14} {cell.outcome:<9} "
            f"{cell.seconds:>7.0f}"
        )
    failed = [cell for cell in cells if cell.outcome != "passed"]
    print(f"\n{len(cells) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
