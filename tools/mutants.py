"""Mutation testing: change the code in one place, and see whether a test fails.

    pip install cosmic-ray
    python tools/mutants.py                       # the rooms that decide, on the torch at hand
    python tools/mutants.py hooks/gate.py --jobs 4
    python tools/mutants.py --survivors           # on another torch: what survived so far, and
                                                  # has no word in compat/mutants.json

Cosmic Ray says what to change. Its own runner would start Python and import torch for each mutant;
here a process that has imported torch forks for each. Writes compat/mutants.json: how many mutants
each file has, and the change of each survivor, with a word about it from whoever looked at it.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "inductor_override"
RESULTS = ROOT / "compat" / "mutants.json"
MODULES = (
    *("request/min_sms.py", "request/inductor_options.py", "request/environment.py"),
    *("hooks/gate.py", "open_scopes.py", "scope.py", "users_code.py"),
    *("config_store/base.py", "config_store/stand_ins.py", "config_store/entries.py"),
    *("config_store/context_entries.py", "config_store/plain_dicts.py"),
)
# The first failure ends a mutant, so the tests that are likely to fail run first, by themselves.
LIKELY = {
    "request/min_sms.py": ("bad_input", "gate"),
    "hooks/gate.py": ("gate", "scope"),
    "config_store/base.py": ("gate", "option"),
    "config_store/stand_ins.py": ("config_readers", "unpatching"),
    "request/inductor_options.py": ("bad_input", "option"),
    "request/environment.py": ("environment", "bad_input"),
    "open_scopes.py": ("overlap", "scope", "lifecycle_properties"),
    "scope.py": ("scope", "warnings", "isolate"),
    "users_code.py": ("scope", "warnings"),
    "config_store/entries.py": ("config_readers", "config_functions", "caches"),
    "config_store/context_entries.py": ("unpatching", "caches", "config_readers"),
    "config_store/plain_dicts.py": ("config_readers", "config_functions", "caches"),
}
TESTS = (
    *("bad_input", "gate", "option", "scope", "process_wide", "unpatching", "overlap"),
    *("config_functions", "config_readers", "caches", "isolate", "lowering", "late_backward"),
    *("patches", "interrupts", "foreign", "lifecycle_properties", "warnings", "doors"),
    *("tuning_report", "seeing_it", "environment", "run_commands"),
)
LIMIT = 300
"""Seconds for the tests of one mutant; one that takes longer is killed."""


def mutants(path: Path) -> Iterator[tuple[str, str]]:
    """(operator, changed source) for each change that is one."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = path.read_text("utf-8")
    seen = {_meaning(source), None}
    for name in operator_names():
        # Nobody means `<` where `==` or `is` stands: it fails at once, or says the same.
        if get_operator(name).arguments() or _ORDER_FOR_EQUALITY.search(name):
            continue
        operator = get_operator(name)()
        count = sum(len(list(operator.mutation_positions(n))) for n in ast_nodes(get_ast(source)))
        for occurrence in range(count):
            changed = mutate_code(source, operator, occurrence)
            # Cosmic Ray changes annotations too, and calls two changes by different names that
            # give the same code.
            if changed is not None and (meaning := _meaning(changed)) not in seen:
                seen.add(meaning)
                yield name.partition("/")[2], changed


_ORDER_FOR_EQUALITY = re.compile(r"_(Eq|NotEq|Is|IsNot)_(Lt|LtE|Gt|GtE)$")


def _meaning(source: str) -> str | None:
    """The code without what no test can see: annotations, `abstractmethod`, `is` or `==` of None.

    None: it is no Python.
    """

    class Strip(ast.NodeTransformer):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
            self.generic_visit(node)
            node.annotation = ast.Constant(None)
            return node

        def visit_arg(self, node: ast.arg) -> Any:
            node.annotation = None
            return node

        def visit_arguments(self, node: ast.arguments) -> Any:
            # Cosmic Ray takes the `*` before keywords for a product; mypy looks at every call.
            self.generic_visit(node)
            node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
            node.defaults += [each for each in node.kw_defaults if each is not None]
            node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
            self.generic_visit(node)
            node.returns = None
            node.decorator_list = [
                each
                for each in node.decorator_list
                if not (isinstance(each, ast.Name) and each.id == "abstractmethod")
            ]
            return node

        def visit_Compare(self, node: ast.Compare) -> Any:
            self.generic_visit(node)
            same: dict[type, type] = {ast.Is: ast.Eq, ast.IsNot: ast.NotEq}
            node.ops = [same.get(type(each), type(each))() for each in node.ops]
            return node

    try:
        return ast.dump(Strip().visit(ast.parse(source)))
    except SyntaxError:
        return None


def prepare() -> None:
    """Import what each mutant's tests would import, but for the package."""
    os.environ.update(TORCH_DEVICE_BACKEND_AUTOLOAD="0", TORCHINDUCTOR_COMPILE_THREADS="1")
    os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "1"
    import torch

    def of(name: str) -> Any:
        # torch keeps references to these two when it is imported, and conftest.py replaces them.
        return lambda device=None: getattr(sys.modules["conftest"], name)(device)

    torch.cuda.get_device_properties = of("_properties")
    torch.cuda.get_device_capability = lambda device=None: (8, 6)
    import hypothesis.stateful  # noqa: F401
    import pytest  # noqa: F401
    import torch._dynamo.backends.common
    import torch._inductor.compile_fx
    import wrapt  # noqa: F401

    del os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"]


def test(folder: Path, likely: tuple[str, ...]) -> int:
    """In a process of its own: run the tests on the package in `folder`."""
    sys.path.insert(0, str(folder))
    os.environ.update(TMPDIR=str(folder), PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    tempfile.tempdir = None
    import pytest

    from inductor_override import autoload

    if hasattr(sys.modules["torch"], "_import_device_backends"):  # from 2.5 on
        autoload.activate()  # what `import torch` would have done at its end
    quiet = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", f"--rootdir={ROOT}"]
    for names in (likely, [name for name in TESTS if name not in likely]):
        tests = [str(ROOT / "tests" / f"test_{name}.py") for name in names]
        if status := int(pytest.main([*quiet, *tests])):
            return status
    return 0


class Run:
    """The tests on the package with one changed file, in a process of its own."""

    def __init__(self, module: str, operator: str, source: str) -> None:
        self.module, self.operator, self.source = module, operator, source
        self.folder = Path(tempfile.mkdtemp(prefix="inductor-override-mutant-"))
        copy = self.folder / "inductor_override"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / module).write_text(source, "utf-8")
        self.process = os.fork()
        if self.process == 0:
            status = 70
            try:
                os.setsid()
                output = os.open(self.folder / "output", os.O_WRONLY | os.O_CREAT)
                for number in (1, 2):
                    os.dup2(output, number)
                signal.alarm(LIMIT)
                os.chdir(self.folder)
                status = test(self.folder, LIKELY[module])
            finally:
                os._exit(status)

    def end(self, status: int) -> str:
        """The change, if no test has failed; else nothing."""
        output = (self.folder / "output").read_text("utf-8", "replace")
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.waitstatus_to_exitcode(status):
            return "" if self.operator else output[-5000:]
        return change_of(self.module, self.operator, self.source)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--survivors", action="store_true", help="only what survived so far")
    asked = parser.parse_args()
    waiting = [(m, *each) for m in asked.modules for each in mutants(PACKAGE / m)]
    known = recorded()
    if asked.survivors:
        left = {m: each["survivors"] for m, each in known.items()}
        waiting = [each for each in waiting if left.get(each[0], {}).get(change_of(*each)) == ""]
    prepare()
    counts = Counter(module for module, _, _ in waiting)
    began, total = time.monotonic(), len(waiting)
    first = asked.modules[0]
    unchanged = Run(first, "", (PACKAGE / first).read_text("utf-8"))
    status = os.waitpid(unchanged.process, 0)[1]
    said = unchanged.end(status)
    if status:
        print(f"the tests fail without a change: {said}")
        return 1
    print(f"{total} mutants; without a change: {time.monotonic() - began:.0f} s", flush=True)
    survivors: dict[str, list[str]] = {module: [] for module in asked.modules}
    running: dict[int, Run] = {}
    while waiting or running:
        while waiting and len(running) < asked.jobs:
            run = Run(*waiting.pop(0))
            running[run.process] = run
        process, status = os.wait()
        run = running.pop(process)
        if change := run.end(status):
            survivors[run.module].append(change)
            done = total - len(waiting) - len(running)
            print(f"{done} of {total}: survived: {run.module} {change}", flush=True)
        at_work = {each.module for each in running.values()} | {each[0] for each in waiting}
        if run.module not in at_work:
            record(run.module, counts[run.module], survivors[run.module], asked.survivors)
    return 0


def recorded() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def record(module: str, count: int, survivors: list[str], again: bool) -> None:
    """Write what has survived on each torch; keep the words that are there."""
    import torch

    print(f"{module}: {len(survivors)} survived of {count}", flush=True)
    results = recorded()
    before = results.get(module, {})
    words = before.get("survivors", {})
    explained = {change: word for change, word in words.items() if again and word}
    results[module] = {
        "torch": [*(before["torch"] if again else ()), torch.__version__.partition("+")[0]],
        "mutants": before["mutants"] if again else count,
        "survivors": explained | {change: words.get(change, "") for change in survivors},
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def change_of(module: str, operator: str, source: str) -> str:
    """The operator, and the lines that it changed."""
    before = (PACKAGE / module).read_text("utf-8").splitlines()
    lines = difflib.unified_diff(before, source.splitlines(), lineterm="", n=0)
    changed = (line.strip() for line in lines if line[0] in "+-" and line[:3] not in _HEADS)
    return f"{operator}: {' | '.join(changed)}"


_HEADS = ("+++", "---")

if __name__ == "__main__":
    sys.exit(main())
