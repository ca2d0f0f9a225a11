"""Show the lines that no test runs, and hold them against compat/uncovered.json.

    make coverage                  # runs the tests on several releases, and then this
    python tools/uncovered.py      # again, with the lines that ran then

compat/uncovered.json has the share of lines that ran, by room, and each line that did not, by its
text (numbers change with every edit), with a word about it. Exits with 1 if a line has no word.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "compat" / "uncovered.json"


def measured() -> dict[str, Any]:
    """coverage's own account of each file, after `coverage combine`."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    files: dict[str, Any] = json.loads(done.stdout)["files"]
    return files


def texts(path: str, numbers: list[int]) -> list[str]:
    """Each line once, without its indent, in the order of the file."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(lines[number - 1].strip() for number in numbers))


def room(path: str) -> str:
    name = path.removeprefix("inductor_override/")
    return f"{name.partition('/')[0]}/" if "/" in name else name


def main() -> int:
    known: dict[str, dict[str, str]] = {}
    if RESULTS.exists():
        known = json.loads(RESULTS.read_text())["lines"]
    lines: dict[str, dict[str, str]] = {}
    statements: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    for path, facts in sorted(measured().items()):
        statements[room(path)] += facts["summary"]["num_statements"]
        ran[room(path)] += facts["summary"]["covered_lines"]
        words = {
            text: known.get(path, {}).get(text, "") for text in texts(path, facts["missing_lines"])
        }
        if words:
            lines[path] = words
    share = {
        name: f"{ran[name]} of {count}, {100 * ran[name] / count:.1f} %"
        for name, count in sorted(statements.items())
        if count
    }
    share["all"] = (
        f"{ran.total()} of {statements.total()}, {100 * ran.total() / statements.total():.1f} %"
    )
    RESULTS.write_text(json.dumps({"ran": share, "lines": lines}, indent=1) + "\n")
    for name, text in share.items():
        print(f"{name:<24} {text}")
    without = [
        (path, text) for path, words in lines.items() for text, word in words.items() if not word
    ]
    for path, text in without:
        print(f"no word in {RESULTS.name}: {path}: {text}")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
