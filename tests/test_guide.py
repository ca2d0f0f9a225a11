"""Each block of Python in README and guide is run, or says why it cannot be.

Those that need other packages are run by `tests_doors/`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(<!-- (?:not run|make doors): (.+?) -->\n)?^```python[^\n]*\n(.*?)^```$", re.M | re.S
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(why it is not run, code)"""
    return [(m[2] or "", m[3]) for m in BLOCK.finditer(page.read_text("utf-8"))]


WITH_CODE = [page for page in PAGES if any(not why for why, _ in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n\n".join(code for why, code in blocks(page) if not why))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_block_compiles() -> None:
    for page in PAGES:
        for _, code in blocks(page):
            compile(code, str(page), "exec")


def test_the_model_of_the_guide_is_the_file() -> None:
    code = [code for _, code in blocks(ROOT / "docs" / "index.md")]
    assert (ROOT / "docs" / "examples" / "my_model.py").read_text("utf-8") in code


def test_links_within_the_repository_lead_somewhere() -> None:
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []
