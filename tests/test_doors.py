"""All the doors to Inductor: what was asked for holds where the graph is lowered, or it is said.

What is observed is the option's value at each lowering; the gate itself is asked on a GPU only.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch._inductor.compile_fx
import torch._inductor.config as config
from conftest import RELEASE

import inductor_override as io
from inductor_override._installation import installation
from inductor_override._store_reads import WholeReads

OPTION = "max_autotune_gemm_min_sms"
needs_children = pytest.mark.skipif(
    not hasattr(torch._inductor.compile_fx, "fx_compile_mode") or RELEASE < (2, 7),
    reason="compiling in a child process came with torch 2.7",
)


def forward(**how):
    def function(x, w):
        return x @ w

    torch._dynamo.reset()
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    return torch.compile(function, **how)(x, w)


def backward(out):
    out.backward(torch.ones_like(out))


@pytest.mark.parametrize(
    "how",
    [{"mode": "max-autotune"}, {"options": {"shape_padding": False}}, {"dynamic": True}],
    ids=["mode", "options", "dynamic"],
)
def test_ways_to_call_torch_compile(lowered, how):
    with io.override(min_sms=7):
        backward(forward(**how))
    assert set(lowered) == {7}


def test_a_module_and_one_whose_forward_is_decorated(lowered):
    class Model(torch.nn.Module):
        def forward(self, x):
            return x @ x

    class Decorated(torch.nn.Module):
        @io.override(min_sms=7)
        def forward(self, x):
            return x @ x

    with io.override(min_sms=7):
        torch.compile(Model())(torch.randn(4, 4))
    torch.compile(Decorated())(torch.randn(4, 4))
    assert lowered == [7, 7]


def test_torch_compile_above_and_below_the_decorator(lowered):
    @torch.compile
    @io.override(min_sms=7)
    def above(x):
        return x @ x

    @io.override(min_sms=8)
    @torch.compile(fullgraph=True)
    def below(x):
        return x @ x

    for _ in range(2):
        above(torch.randn(4, 4))
        below(torch.randn(4, 4))
    assert lowered == [7, 8]
    assert not installation.installed


def test_fullgraph_above_the_decorator_works_or_is_refused_by_torch(lowered):
    """Dynamo cannot trace a scope; once it has noted that, it steps over the decorator."""

    @torch.compile(fullgraph=True)
    @io.override(min_sms=7)
    def above(x):
        return x @ x

    refused = ""
    try:
        above(torch.randn(4, 4))
    except Exception as error:
        refused = str(error)
    assert lowered == [7] or "with scope" in refused
    assert not installation.installed


def test_a_scope_inside_a_compiled_function_is_never_silently_without_effect(lowered, recwarn):
    @torch.compile
    def function(x):
        with io.override(min_sms=7):
            return x @ x

    function(torch.randn(4, 4))
    said = [w for w in recwarn if w.category is io.NoEffectWarning]
    assert lowered == [7] or said
    assert not installation.installed


def graph():
    return torch.fx.symbolic_trace(lambda x: (x @ x,))


@pytest.mark.skipif(RELEASE < (2, 8), reason="standalone_compile came with torch 2.8")
def test_standalone_compile(lowered):
    """The door that vLLM uses; its config patches come under the name config_patches."""
    from torch._inductor import standalone_compile

    x = [torch.randn(4, 4)]
    io.enable()
    standalone_compile(graph(), x, options={"config_patches": io.options(min_sms=7)})
    with config.patch({OPTION: 8}):
        standalone_compile(graph(), x, options={})
    with io.override(min_sms=9):
        standalone_compile(graph(), x, options={})
    assert lowered == [7, 8, 9]


@pytest.mark.skipif(RELEASE < (2, 6), reason="aoti_compile_and_package came with torch 2.6")
def test_aoti_compile_and_package(lowered, tmp_path):
    class Model(torch.nn.Module):
        def forward(self, x):
            return x @ x

    how = io.options(min_sms=7)
    if "aot_inductor.package_cpp_only" in config._config:
        how["aot_inductor.package_cpp_only"] = True  # the sources, without a C++ compiler
    exported = torch.export.export(Model(), (torch.randn(4, 4),))
    path = str(tmp_path / "model.pt2")
    with config.patch({"aot_inductor.metadata": {}}):  # torch writes into it
        torch._inductor.aoti_compile_and_package(exported, package_path=path, inductor_configs=how)
    assert set(lowered) == {7}
    assert os.path.getsize(path) > 0


IN_CHILD = """
import os

def observe():
    import torch._inductor.config as config
    from torch._inductor.graph import GraphLowering

    run = GraphLowering.run
    def observed(self, *args):
        with open(os.environ["SEEN"], "a") as file:
            print(os.getpid(), getattr(config, "max_autotune_gemm_min_sms", None), file=file)
        return run(self, *args)
    GraphLowering.run = observed
"""
PARENT = """
import os
import threading
import spy
import torch
import inductor_override as io
from torch._inductor.compile_fx_ext import _OutOfProcessFxCompile
from torch._inductor.compile_fx_subproc import _SubprocessFxCompile

def compile_it(**how):
    torch._dynamo.reset()
    torch.compile(lambda x: x @ x, **how)(torch.randn(4, 4))

if __name__ == "__main__":
    _SubprocessFxCompile.process_pool().submit(spy.observe).result()
    compile_it()

    to_child = _OutOfProcessFxCompile
    step = "serialize_compile" if hasattr(to_child, "serialize_compile") else "codegen_and_compile"
    original = getattr(to_child, step)
    begun, go_on = threading.Event(), threading.Event()
    def late(*args):
        begun.set()
        assert go_on.wait(60)
        return original(*args)
    setattr(to_child, step, late)
    thread = threading.Thread(target=compile_it)
    thread.start()
    assert begun.wait(60)
    with io.override(min_sms=9):
        go_on.set()
        thread.join()
    setattr(to_child, step, original)

    with io.override(min_sms=7):
        compile_it()
    compile_it(options=io.options(min_sms=8))
    compile_it()
    io.disable()
    compile_it()

    _SubprocessFxCompile.process_pool().submit(os.getpid).result()  # after those in the background
    assert isinstance(vars(_SubprocessFxCompile)["process_pool"], staticmethod)
    print("parent", os.getpid())
"""


@needs_children
@pytest.mark.parametrize("how", ["", "ASYNC+", "PROGRESSIVE+"])
def test_a_compile_child_lowers_with_the_parents_value(tmp_path, how):
    """Its first compile is stock's: a child that is there already is told too.

    So is one whose compile was about to be sent, from another thread, when a scope was opened.
    """
    if how and not hasattr(torch._inductor.compile_fx, f"fx_compile_{how.lower()[:-1]}"):
        pytest.skip(f"no {how}SUBPROCESS in this release")
    (tmp_path / "spy.py").write_text(IN_CHILD)
    (tmp_path / "parent.py").write_text(PARENT)
    path = os.pathsep.join([str(tmp_path), str(Path(io.__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "parent.py"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "SEEN": str(tmp_path / "seen"),
            # Every compile is to be lowered: in its thread, too, where config assigns nothing.
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
            "TORCHINDUCTOR_FX_GRAPH_CACHE": "0",
            "TORCHINDUCTOR_AUTOGRAD_CACHE": "0",
            "TORCHINDUCTOR_FX_COMPILE_MODE": f"{how}SUBPROCESS",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    in_thread = "-1" if RELEASE >= (2, 12) else "9"  # per thread from then on
    rows = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert [value for _, value in rows] == ["None", in_thread, "7", "8", "-1", "-1"]
    assert done.stdout.split()[-1] not in {process for process, _ in rows}
    assert "has no option" not in done.stderr


def test_compile_workers_and_autotuning_processes_do_not_ask_the_gate():
    """They run what the parent has decided; only modules of the lowering name the gate."""
    inductor = Path(torch._inductor.__file__).parent
    asks = re.compile(r"\b(is_big_gpu|use_triton_template|_use_template_for_(cuda|gpu))\b")
    named_in = {
        str(path.relative_to(inductor))
        for path in inductor.rglob("*.py")
        if asks.search(path.read_text(encoding="utf-8"))
    }
    assert "utils.py" in named_in
    in_workers = [
        name
        for name in named_in
        if name.startswith(("runtime/", "compile_worker/"))
        or name in ("async_compile.py", "autotune_process.py", "triton_heuristics.py")
    ]
    assert in_workers == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_in_the_middle_of_a_scope(no_trace):
    """The child sees the value and leaves the scope, whatever another thread held at the fork."""
    held, go_on = threading.Event(), threading.Event()

    def hold_the_lock():
        with installation.lock, WholeReads._lock:
            held.set()
            go_on.wait(60)

    thread = threading.Thread(target=hold_the_lock)
    with io.override(min_sms=7) as scope:
        thread.start()
        assert held.wait(60)

        def child():
            seen = getattr(config, OPTION)
            config.save_config()  # reads all of it
            getattr(config, "get_config_copy", dict)()
            scope.__exit__(None, None, None)
            os._exit(0 if seen == 7 and not hasattr(config, OPTION) else 1)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(30)
        if process.exitcode is None:
            process.kill()
        go_on.set()
        thread.join(60)
        assert process.exitcode == 0
        assert getattr(config, OPTION) == 7
    assert no_trace.differences() == []
