"""Write docs/compatibility.md and the README's sentence from compat/results.json.

python tools/table.py            # write
python tools/table.py --check    # exit 1 if what is written is not what the results say
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import outcomes

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- compatibility: begin -->\n", "<!-- compatibility: end -->\n"
MARK = {outcomes.PASS: "yes", outcomes.FAIL: "**no**", outcomes.NOT_APPLICABLE: "n/a"}


def page(results: dict[str, Any]) -> str:
    names = list(outcomes.table())
    notes: dict[str, int] = {}
    lines = [
        "# Compatibility",
        "",
        "Each column of marks is a set of tests, each row a run of them in an environment of its",
        "own (`make matrix`; generated from `compat/results.json` by `tools/table.py`). No GPU was",
        "there: the GPU is simulated, Inductor and Triton are real. A footnote gives the reason of",
        "what is no plain yes, and says where a row is of other code than most.",
        "",
        "| torch | Python | Triton | wrapt | dependencies | patch module | tests | "
        + " | ".join(names)
        + " |",
        "|---|---|---|---|---|---|---|" + "---|" * len(names),
    ]
    most = Counter(result.get("commit") for result in results.values()).most_common(1)[0][0]
    for result in results.values():
        versions = result["versions"]
        older = f"of the code of commit {result['commit']}" if result.get("commit") != most else ""
        marks = [_mark(result["capabilities"].get(name, {}), notes) for name in names]
        cells = [
            versions.get("torch", "?"),
            versions.get("python", "?"),
            versions.get("triton", "?"),
            versions.get("wrapt", "?"),
            "lowest" if result["resolution"] == "lowest-direct" else "newest",
            f"`{result['patch_module']}`",
            _noted(_counts(result["tests"]), older, notes),
            *marks,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if notes:
        lines += ["", *(f"[{number}] {reason}  " for reason, number in notes.items())]
    dates = sorted({result["date"] for result in results.values()})
    minutes = sum(result["seconds"] for result in results.values()) / 60
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    lines += [
        "",
        f"Runs of {when}, of the code of commit {most}; {minutes:.0f} minutes in all, installing "
        "included.",
        "",
    ]
    return "\n".join(lines)


def short(results: dict[str, Any]) -> str:
    """Which releases pass all tests, in a sentence."""
    passed = [name for name, result in results.items() if result["outcome"] == "passed"]
    failed = [name for name in results if name not in passed]
    text = f"All tests that apply pass on {len(passed)} releases: {', '.join(passed)}."
    if failed:
        text += f" Tests fail on {', '.join(failed)}."
    return textwrap.fill(text, 100) + "\n"


def _mark(found: dict[str, str], notes: dict[str, int]) -> str:
    return _noted(MARK.get(found.get("result", ""), "?"), found.get("reason", ""), notes)


def _noted(text: str, note: str, notes: dict[str, int]) -> str:
    note = note.replace("\n", " ").replace("|", "/")
    return f"{text} [{notes.setdefault(note, len(notes) + 1)}]" if note else text


def _counts(summary: str) -> str:
    """`92 passed, 3 skipped` of pytest's last line."""
    return re.sub(r", \d+ warnings?", "", summary.strip("= ").partition(" in ")[0])


def files() -> dict[Path, str]:
    """What the two files have to say, by path."""
    results = json.loads((ROOT / "compat" / "results.json").read_text())
    readme = README.read_text()
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return {PAGE: page(results), README: before + BEGIN + short(results) + END + after}


def main() -> int:
    wanted = files()
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in wanted.items() if path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what compat/results.json says: make table")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
