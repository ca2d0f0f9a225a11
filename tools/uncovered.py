"""Show the lines that no test runs, and hold those of the core against compat/uncovered.json.

    make coverage                  # runs the tests on several releases, and then this
    python tools/uncovered.py      # again, with the lines that ran then

compat/uncovered.json has the share of lines that ran, by room, and a word about each line of the
core that did not, by its text (numbers change with every edit). For the other rooms it has a word
about each function with such lines. Exits with 1 if a word is missing.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "compat" / "uncovered.json"
PACKAGE = "inductor_override/"
CORE = (
    *("request/", "config_store/", "patches/", "hooks/", "install/", "open_scopes.py", "scope.py"),
    *("api.py", "autoload.py", "status_report.py", "tuning.py", "tuning_report.py"),
    *("messages.py", "errors.py", "users_code.py"),
)


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


def functions(path: str, numbers: list[int]) -> list[str]:
    """The functions that these lines are in; a method is `Class.method`."""
    spans: list[tuple[int, int, str]] = []

    def walk(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = f"{outer}.{child.name}" if outer else child.name
                spans.append((child.lineno, child.end_lineno or child.lineno, name))
            walk(child, name)

    walk(ast.parse((ROOT / path).read_text(encoding="utf-8")), "")
    found = ([name for a, b, name in spans if a <= n <= b] or ["the module"] for n in numbers)
    return list(dict.fromkeys(names[-1] for names in found))


def room(path: str) -> str:
    name = path.removeprefix(PACKAGE)
    return f"{name.partition('/')[0]}/" if "/" in name else name


def main() -> int:
    known: dict[str, dict[str, str]] = {}
    if RESULTS.exists():
        known = json.loads(RESULTS.read_text())["lines"]
    lines: dict[str, dict[str, str]] = {}
    statements: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    for path, facts in sorted(measured().items()):
        in_core = room(path) in CORE
        for name in (room(path), "the core" if in_core else "the rest"):
            statements[name] += facts["summary"]["num_statements"]
            ran[name] += facts["summary"]["covered_lines"]
        missing = (texts if in_core else functions)(path, facts["missing_lines"])
        if missing:
            lines[path] = {text: known.get(path, {}).get(text, "") for text in missing}
    share = {
        name: f"{ran[name]} of {count}, {100 * ran[name] / count:.1f} %"
        for name, count in sorted(statements.items())
        if count
    }
    RESULTS.write_text(json.dumps({"ran": share, "lines": lines}, indent=1) + "\n")
    for name, told in share.items():
        print(f"{name:<24} {told}")
    found = [(path, text, word) for path, words in lines.items() for text, word in words.items()]
    for path, text, word in found:
        if not word:
            print(f"no word in {RESULTS.name}: {path}: {text}")
    return 0 if all(word for _, _, word in found) else 1


if __name__ == "__main__":
    sys.exit(main())
