"""The environment variable, in processes of their own, and what an import costs in modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from this_torch import GATE_TAKES_DEVICE, HAS_CONFIG_EARLY, READS_VARIABLES, RELEASE
from zygote import Zygote

from inductor_override.request.environment import read_environment

VARIABLE = "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS"
DISABLE = "INDUCTOR_OVERRIDE_DISABLE"
RunWithTorch = Callable[..., tuple[Any, str]]

by_entry_point = pytest.mark.skipif(
    not READS_VARIABLES, reason="torch calls its entry points from 2.5 on; before, use `run`"
)

pytestmark = pytest.mark.skipif(
    not [e for e in metadata.entry_points(group="torch.backends") if e.name == "inductor_override"],
    reason="the package is on the path, but not installed: it has no entry points",
)


def run(code: str, *flags: str, **environment: str) -> tuple[Any, str]:
    """Run code that prints one JSON object; return it, and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        env={**WITHOUT, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


WITHOUT = {k: v for k, v in os.environ.items() if k not in (VARIABLE, DISABLE)}


@pytest.fixture(scope="module")
def run_with_torch() -> Iterator[RunWithTorch]:
    """As `run`, in a process that has imported torch before the variables were set."""

    def run_it(code: str, **environment: str) -> tuple[Any, str]:
        done = zygote.run(code, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    with Zygote("import torch, sympy") as zygote:
        yield run_it


SEEN = """
import json, sys
import torch
at_import = [m for m in sys.modules if m.startswith("torch._inductor")]
ours = "inductor_override" in sys.modules
import torch._inductor.config as config
value = getattr(config, "max_autotune_gemm_min_sms", None)
import torch._inductor.utils as utils
import torch._inductor.compile_fx as compile_fx
layers = [type(vars(m)[n]).__name__ for m, n in ((utils, "is_big_gpu"), (compile_fx, "compile_fx"))]
import inductor_override as io
status = io.status()
out = dict(at_import=at_import, value=value, layers=layers, live=status.live,
           held_by=status.held_by, problem=status.problem, verdict=status.verdict, ours=ours,
           loaders=[[type(m.__loader__).__name__, type(m.__spec__.loader).__name__]
                    for m in (config, utils, compile_fx)])
"""
PRINT = "print(json.dumps(out))"


@pytest.mark.slow
@by_entry_point
def test_it_is_in_force_and_inductor_is_not_imported_for_it() -> None:
    modules = "import json, sys, torch; print(json.dumps(sorted(sys.modules)))"
    alone, _ = run(modules)
    with_variable, _ = run(modules, **{VARIABLE: "0"})
    # torch 2.5 imports Inductor's config at once.
    assert HAS_CONFIG_EARLY or "wrapt" not in set(with_variable) - set(alone)
    seen, said = run(SEEN + PRINT, **{VARIABLE: "0"})
    assert seen["at_import"] == [m for m in alone if m.startswith("torch._inductor")]
    assert seen["value"] == 0
    assert seen["layers"] == ["Layer", "Layer"]
    assert seen["live"]
    assert seen["held_by"] == ["environment"]
    assert seen["loaders"] == [["SourceFileLoader"] * 2] * 3
    assert "inductor_override" not in said


@pytest.mark.slow
@by_entry_point
def test_it_decides(run_with_torch: RunWithTorch) -> None:
    ask = """
import types
torch.cuda.get_device_properties = lambda d=None: types.SimpleNamespace(
    multi_processor_count=28, major=8, minor=6, warp_size=32, regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=1536, gcnArchName="")
torch.cuda.get_device_capability = lambda d=None: (8, 6)
"""
    device = "torch.device('cuda', 0)" if GATE_TAKES_DEVICE else "0"
    answer = f"out['answer'] = utils.is_big_gpu({device})\n"
    code = SEEN.replace("import torch\n", "import torch\n" + ask, 1) + answer + PRINT
    for value, expected in (("28", True), ("29", False)):
        assert run_with_torch(code, **{VARIABLE: value})[0]["answer"] is expected


@by_entry_point
def test_threads_that_import_inductor_first_do_not_wait_for_each_other_for_ever(
    run_with_torch: RunWithTorch,
) -> None:
    """torch's own modules import each other in a circle, so one of them may fail, as without us."""
    code = """
import json, threading
import torch
names = ["torch._inductor.config", "torch._inductor.utils", "torch._inductor.compile_fx"]
start = threading.Barrier(len(names))
def first(name):
    start.wait()
    try: __import__(name)
    except ImportError: pass
threads = [threading.Thread(target=first, args=(name,), daemon=True) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
print(json.dumps([thread.is_alive() for thread in threads]))
"""
    assert run_with_torch(code, **{VARIABLE: "28"})[0] == [False, False, False]


def test_without_it_nothing_happens(run_with_torch: RunWithTorch) -> None:
    seen, said = run_with_torch(SEEN + PRINT)
    assert seen["value"] is None
    assert seen["layers"] == ["_lru_cache_wrapper", "function"]
    assert not seen["live"]
    assert "inductor_override" not in said


@pytest.mark.same_everywhere
@by_entry_point
def test_a_bad_value_is_one_warning_and_torch_decides() -> None:
    bad = "-2"
    seen, said = run(SEEN + PRINT, **{VARIABLE: bad})
    assert seen["value"] is None
    assert said.count(f"{VARIABLE}={bad!r} is ignored") == 1
    assert "an int >= 0" in said
    assert "torch decides" in seen["problem"]


@pytest.mark.parametrize("bad", ["many", "-2", "1.5", "0x10", "1e3", "True", "0 0"])
def test_what_the_variable_must_be(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv(VARIABLE, bad)
    found = read_environment()
    assert found.min_sms is None
    [problem] = found.problems
    assert f"{VARIABLE}={bad!r} is ignored: it must be an int >= 0" in problem


@pytest.mark.parametrize(("text", "value"), [("", None), (" ", None), (" 28 ", 28), ("-1", -1)])
def test_what_the_variable_may_be(
    monkeypatch: pytest.MonkeyPatch, text: str, value: int | None
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert (read_environment().min_sms, read_environment().problems) == (value, ())


@by_entry_point
def test_a_bad_value_does_not_break_the_import_under_w_error() -> None:
    code = "import json, torch; print(json.dumps({}))"
    done, said = run(code, "-W", "error::RuntimeWarning", **{VARIABLE: "many"})
    assert done == {}
    assert f"{VARIABLE}='many' is ignored" in said


@by_entry_point
def test_an_unsupported_torch_is_one_warning_and_torch_compiles(tmp_path: Path) -> None:
    code = """
import json, sys
import importlib.util
path = importlib.util.find_spec("torch").submodule_search_locations[0] + "/_inductor/utils.py"
source = open(path).read().replace("is_big_gpu", "is_large_gpu")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._inductor.utils":
            return importlib.util.spec_from_loader(name, self)
    def create_module(self, spec): return None
    def exec_module(self, module):
        module.__file__ = path
        exec(compile(source, path, "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
import torch
import torch._inductor.config as config
import torch._inductor.utils
import inductor_override as io
print(json.dumps(dict(has=hasattr(config, "max_autotune_gemm_min_sms"),
                      problem=io.status().problem, installed=io.status().installed)))
"""
    seen, said = run(code, **{VARIABLE: "0"})
    assert said.count("is not supported") == 1
    assert "has no is_big_gpu" in seen["problem"]
    assert not seen["has"]
    assert not seen["installed"]


@by_entry_point
def test_disable_takes_it_back(run_with_torch: RunWithTorch) -> None:
    seen, _ = run_with_torch(
        SEEN + "io.disable(); out['after'] = hasattr(config, 'max_autotune_gemm_min_sms')\n"
        "out['layers'] = type(vars(utils)['is_big_gpu']).__name__\n" + PRINT,
        **{VARIABLE: "0"},
    )
    assert seen["after"] is False
    assert seen["layers"] == "_lru_cache_wrapper"


@by_entry_point
def test_disable_before_inductor_is_imported_is_heard_too(run_with_torch: RunWithTorch) -> None:
    seen, _ = run_with_torch(
        "import torch, inductor_override as io; io.disable()\n" + SEEN + PRINT, **{VARIABLE: "0"}
    )
    assert seen["value"] is None
    assert seen["layers"] == ["_lru_cache_wrapper", "function"]


def test_the_innermost_explicit_value_wins(run_with_torch: RunWithTorch) -> None:
    """Environment, then enable, then a scope, then torch's own config.patch inside it."""
    code = """
import json, warnings
warnings.simplefilter("ignore")
import inductor_override as io
io.enable()
import torch._inductor.config as config
read = lambda: config.max_autotune_gemm_min_sms
out = [read()]
io.enable(min_sms=20); out.append(read())
with io.override(min_sms=30):
    out.append(read())
    with config.patch(max_autotune_gemm_min_sms=40):
        out.append(read())
out.append(read())
io.disable(); out.append(hasattr(config, "max_autotune_gemm_min_sms"))
with io.override(min_sms=30):
    out.append(read())
print(json.dumps(out))
"""
    assert run_with_torch(code, **{VARIABLE: "10"})[0] == [10, 20, 30, 40, 20, False, 30]


def test_the_switch_makes_every_entry_a_no_op(run_with_torch: RunWithTorch) -> None:
    code = (
        SEEN
        + """
before = vars(utils)["is_big_gpu"]
io.enable(min_sms=0)
with io.override(min_sms=0, size_asserts=False) as scope:
    out["inside"] = [hasattr(config, "max_autotune_gemm_min_sms"), config.size_asserts]
out["options"] = io.options(mode="max-autotune", min_sms=0)
import torch._dynamo
out["resets"] = 0
def reset():
    out["resets"] += 1
torch._dynamo.reset = reset
@io.override(min_sms=0, isolate=True)
def decorated():
    return hasattr(config, "max_autotune_gemm_min_sms")
out["decorated"] = decorated()
out["same"] = vars(utils)["is_big_gpu"] is before
out["verdict"] = io.status().verdict
"""
        + PRINT
    )
    seen, said = run_with_torch(code, **{VARIABLE: "0", DISABLE: "1"})
    assert seen["value"] is None
    assert seen["inside"] == [False, True]
    assert seen["decorated"] is False
    assert seen["resets"] == 0
    assert seen["same"]
    assert seen["options"]["max_autotune"] is True
    assert "max_autotune_gemm_min_sms" not in seen["options"]
    assert f"{DISABLE}=1" in seen["verdict"]
    assert "NoEffectWarning" not in said


@pytest.mark.same_everywhere
@pytest.mark.slow
@by_entry_point
def test_a_bad_value_of_the_switch_is_said() -> None:
    seen, said = run(SEEN + PRINT, **{VARIABLE: "0", DISABLE: "maybe"})
    assert f"{DISABLE}='maybe' switches nothing off" in said
    assert seen["value"] == 0


@pytest.mark.same_everywhere
@pytest.mark.skipif(
    HAS_CONFIG_EARLY, reason="`import torch` has imported Inductor's config already"
)
@by_entry_point
def test_status_says_what_the_variable_waits_for() -> None:
    seen, _ = run(
        "import json, torch, inductor_override as io; print(json.dumps(io.status().verdict))",
        **{VARIABLE: "0"},
    )
    assert seen == f"waiting: {VARIABLE} is read when torch imports Inductor"


@pytest.mark.same_everywhere
@pytest.mark.slow
@by_entry_point
def test_a_process_without_compile_workers_is_no_compile_child() -> None:
    seen, _ = run(
        SEEN + PRINT,
        **{VARIABLE: "0"},
        TORCH_WARM_POOL="0",
        TORCHINDUCTOR_FX_COMPILE_MODE="SUBPROCESS",
    )
    assert seen["value"] == 0


def test_importing_the_package_imports_neither_torch_nor_wrapt() -> None:
    seen, _ = run(
        "import json, sys, inductor_override as io\n"
        "first = [m for m in ('torch', 'wrapt', 'click', 'rich') if m in sys.modules]\n"
        "io.status()\n"
        "print(json.dumps(first + [m for m in ('torch', 'click', 'rich') if m in sys.modules]))"
    )
    assert seen == []


@by_entry_point
def test_an_idle_process_imports_next_to_nothing_of_the_package() -> None:
    seen, _ = run(
        "import json, sys, torch\n"
        "print(json.dumps(sorted(m for m in sys.modules if m.startswith('inductor_override'))))"
    )
    assert len(seen) <= 6, seen
    assert "inductor_override.install.on_import" in seen


def test_what_is_public_is_there_before_it_is_imported() -> None:
    seen, _ = run(
        "import json, inductor_override as io\n"
        "there = set(io.__all__) <= set(dir(io)) and all(hasattr(io, n) for n in io.__all__)\n"
        "print(json.dumps([there, hasattr(io, 'overide')]))"
    )
    assert seen == [True, False]


def test_status_is_readable_before_torch_is_imported() -> None:
    seen, _ = run(
        "import json, inductor_override as io; print(json.dumps([str(io.status()), "
        "io.status().as_dict()]))"
    )
    text, facts = seen
    assert f"{RELEASE[0]}.{RELEASE[1]}" in text
    assert facts["installed"] is False
    assert facts["patch_module"].startswith("torch_2_")


@by_entry_point
def test_it_may_be_set_in_the_script_after_torch_is_imported(run_with_torch: RunWithTorch) -> None:
    """As torch's own variables: they count when Inductor is imported."""
    setting = f"import os, torch; os.environ[{VARIABLE!r}] = '28'\n"
    now = "out['value'] = io.status().min_sms\n"
    seen, said = run_with_torch(setting + SEEN + now + PRINT)
    assert (seen["value"], seen["live"]) == (28, True)
    assert "inductor-override" not in said


@by_entry_point
def test_set_after_inductor_is_imported_it_is_too_late_and_status_says_so(
    run_with_torch: RunWithTorch,
) -> None:
    setting = f"import os, torch._inductor.compile_fx; os.environ[{VARIABLE!r}] = '28'\n"
    seen, _ = run_with_torch(setting + SEEN + PRINT)
    assert seen["value"] is None
    assert "after torch had imported Inductor" in seen["problem"]


@by_entry_point
def test_enable_without_a_number_when_the_variable_is_gone_since(
    run_with_torch: RunWithTorch,
) -> None:
    code = f"""
import json, os, torch._inductor.compile_fx, inductor_override as io
read = lambda: torch._inductor.config.max_autotune_gemm_min_sms
out = [read()]
io.enable(min_sms=9); out.append(read())
io.enable(); out.append(read())
io.enable(min_sms=9)
del os.environ[{VARIABLE!r}]
io.enable(); out.append(read())
print(json.dumps(out))
"""
    assert run_with_torch(code, **{VARIABLE: "5"})[0] == [5, 9, 5, -1]


@by_entry_point
def test_a_finder_in_front_does_not_shut_it_out(run_with_torch: RunWithTorch) -> None:
    """Someone else's, put there after `import torch`, that finds Inductor first."""
    code = """
import sys, torch
from importlib.machinery import PathFinder
class InFront:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if "_inductor" in name else None
sys.meta_path.insert(0, InFront)
"""
    seen, _ = run_with_torch(
        code + SEEN + "out['value'] = io.status().min_sms\n" + PRINT, **{VARIABLE: "28"}
    )
    assert (seen["value"], seen["live"]) == (28, True)


@by_entry_point
def test_a_replacement_of_what_asks_the_gate_is_one_warning(run_with_torch: RunWithTorch) -> None:
    code = """
import json, torch._inductor.utils as utils
def decides(*args): return True
for name in ("_use_template_for_gpu", "_use_template_for_cuda"):
    if hasattr(utils, name): setattr(utils, name, decides)
import torch._inductor.compile_fx, inductor_override as io
print(json.dumps([io.status().installed, io.status().problem]))
"""
    (installed, problem), said = run_with_torch(code, **{VARIABLE: "0"})
    assert installed is False
    assert "another package decides" in problem
    assert said.count("another package decides") == 1


@by_entry_point
def test_the_gate_is_assigned_between_the_imports(run_with_torch: RunWithTorch) -> None:
    """As a plugin does when torch loads it. A compile child asks with no hook before the gate."""
    code = """
import json, torch._inductor.utils as utils
utils.is_big_gpu = lambda *args: False
import torch._inductor.compile_fx, inductor_override as io
print(json.dumps([io.status().live, io.status().foreign]))
"""
    (live, foreign), said = run_with_torch(code, **{VARIABLE: "0"})
    assert live is True
    assert foreign == ["__main__.<lambda>"]
    assert said.count("is_big_gpu was replaced by __main__.<lambda>") == 1


@by_entry_point
@pytest.mark.skipif(
    HAS_CONFIG_EARLY, reason="`import torch` has imported Inductor's config already"
)
def test_it_holds_when_the_variable_goes_away_between_the_imports(
    run_with_torch: RunWithTorch,
) -> None:
    code = f"import os, torch._inductor.config; del os.environ[{VARIABLE!r}]\n"
    now = "out['value'] = io.status().min_sms\n"
    seen, _ = run_with_torch(code + SEEN + now + PRINT, **{VARIABLE: "28"})
    assert seen["layers"] == ["Layer", "Layer"]
    assert (seen["value"], seen["live"]) == (28, True)


@by_entry_point
def test_another_finder_that_asks_every_finder(run_with_torch: RunWithTorch) -> None:
    code = """
import sys
class Asks:
    def find_spec(self, name, path=None, target=None):
        if "_inductor" not in name: return None
        found = (f.find_spec(name, path, target) for f in sys.meta_path if f is not self)
        return next((spec for spec in found if spec), None)
sys.meta_path.insert(0, Asks())
"""
    seen, _ = run_with_torch(code + SEEN + PRINT, **{VARIABLE: "28"})
    assert seen["live"]
