"""Build wheel and sdist, check them, and use the wheel in an empty environment.

    python tools/package.py            # what CI does
    python tools/package.py --keep     # leaves dist/ and the environment in .package/

Takes a torch from pip, as `make` does. Exits with 1 at the first thing that is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".package"
DIST = WORK / "dist"
TORCH = ("torch==2.13.0", "triton==3.7.1", "numpy")
MOST = 250 << 10
"""Bytes of the wheel."""
TESTS = ("test_environment.py", "test_run.py", "test_scope.py")
"""The entry point, the folder that `run` puts on the path, and the API."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def check(good: bool, what: str) -> None:
    print(f"{'ok' if good else 'NOT OK'}: {what}", flush=True)
    if not good:
        sys.exit(1)


def build() -> Path:
    run(sys.executable, "-m", "uv", "build", "-q", "--out-dir", DIST)
    [wheel], [sdist] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    check(True, "twine check --strict")
    size = wheel.stat().st_size
    check(size <= MOST, f"the wheel has {size >> 10} KiB, at most {MOST >> 10}")
    names = zipfile.ZipFile(wheel).namelist()
    check(not [name for name in names if "test" in Path(name).name], "no tests in the wheel")
    check(not [name for name in names if name.endswith(".pth")], "no .pth in the wheel")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"tests/conftest.py", "docs/index.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"}
    check(wanted <= inside, "tests, guide, changelog and license in the sdist")
    return wheel


def use(wheel: Path) -> None:
    """In an empty environment, with no checkout on the path."""
    environment = WORK / "env"
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    command = environment / "bin" / "inductor-override"
    run(python, "-m", "pip", "install", "-q", *TORCH, "setuptools")
    run(python, "-m", "pip", "install", "-q", f"{wheel}[test]")
    elsewhere = WORK / "elsewhere"
    shutil.copytree(ROOT / "tests", elsewhere / "tests")
    shutil.copy(ROOT / "README.md", elsewhere)
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    said = run(command, "explain", "--gpu", "RTX 3060", "--json", cwd=elsewhere)
    check("products" in said and json.loads(said)["schema"] >= 1, "explain --json from the wheel")
    tests = [f"tests/{name}" for name in TESTS]
    last = run(python, "-m", "pytest", "-q", "-n2", "--dist=loadfile", *tests, cwd=elsewhere)
    check(True, f"tests from the wheel: {last.strip().splitlines()[-1]}")
    asked = (
        "import sys, os; sys.path[:0] = sys.argv[1:]\n"
        "os.environ['TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS'] = '7'\n"
        "import torch._inductor.config as c; print(c.max_autotune_gemm_min_sms)"
    )
    target = WORK / "target"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--target", target, wheel)
    run(python, "-m", "pip", "uninstall", "-q", "-y", "inductor-override")
    found = run(python, "-c", asked, target).strip()
    check(found == "7", "the entry point of `pip install --target`")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", ROOT)
    check(run(python, "-c", asked).strip() == "7", "the entry point of `pip install -e`")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave what was made in .package/")
    asked = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    try:
        use(build())
    finally:
        if not asked.keep:
            shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    main()
