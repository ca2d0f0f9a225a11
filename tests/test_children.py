"""Processes that Inductor starts, and forks: what is in force in them, and who asks the gate."""

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
from conftest import Snapshot
from internals import installation
from this_torch import COMPILES_IN_CHILDREN

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
needs_children = pytest.mark.skipif(
    not hasattr(torch._inductor.compile_fx, "fx_compile_mode") or not COMPILES_IN_CHILDREN,
    reason="compiling in a child process came with torch 2.7",
)


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
import spy
import torch
import inductor_override as io
from torch._inductor.compile_fx_subproc import _SubprocessFxCompile

def compile_it(**how):
    torch._dynamo.reset()
    torch.compile(lambda x: x @ x, **how)(torch.randn(4, 4))

if __name__ == "__main__":
    _SubprocessFxCompile.process_pool().submit(spy.observe).result()
    compile_it()

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


def in_child_mode(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `parent.py`, whose graphs are lowered in a child."""
    path = os.pathsep.join([str(folder), str(Path(io.__file__).parent.parent)])
    return subprocess.run(
        [sys.executable, "parent.py"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "SEEN": str(folder / "seen"),
            # Every compile is to be lowered: in its thread, too, where config assigns nothing.
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"),
            "TORCHINDUCTOR_FX_GRAPH_CACHE": "0",
            "TORCHINDUCTOR_AUTOGRAD_CACHE": "0",
            # In the child the parent's value comes first, and this one not at all.
            "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS": "6",
            "TORCHINDUCTOR_FX_COMPILE_MODE": "SUBPROCESS",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@needs_children
def test_a_compile_child_lowers_with_the_parents_value(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(IN_CHILD)
    (tmp_path / "parent.py").write_text(PARENT)
    done = in_child_mode(tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert [value for _, value in rows] == ["6", "7", "8", "6", "-1"]
    assert done.stdout.split()[-1] not in {process for process, _ in rows}


def test_compile_workers_and_autotuning_processes_do_not_ask_the_gate() -> None:
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
def test_a_fork_in_the_middle_of_a_scope(no_trace: Snapshot) -> None:
    """The child sees the value and leaves the scope, whatever another thread held at the fork."""
    held, go_on = threading.Event(), threading.Event()

    def hold_the_lock() -> None:
        with installation.lock:
            held.set()
            go_on.wait(0.3)  # the fork waits for it: nobody would release it in the child

    thread = threading.Thread(target=hold_the_lock)
    with io.override(min_sms=7) as scope:
        thread.start()
        assert held.wait(60)

        def child() -> None:
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
