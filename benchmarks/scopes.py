"""Enter and exit, the gate, a compile, memory: `python benchmarks/scopes.py [PART ...]`.

Everything is compared within one run, in alternating rounds.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
import tracemalloc
import types
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from common import conditions, middle, report, resident

os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
import torch

# A GPU that is not there, for torch's own gate to ask about; before Dynamo keeps a reference.
_GPU = types.SimpleNamespace(
    name="stand-in",
    major=8,
    minor=6,
    multi_processor_count=28,
    total_memory=12 << 30,
    warp_size=32,
    max_threads_per_multi_processor=1536,
    regs_per_multiprocessor=65536,
    gcnArchName="",
)
torch.cuda.get_device_properties = lambda device=None: _GPU
torch.cuda.get_device_capability = lambda device=None: (8, 6)

import torch._inductor.compile_fx
import torch._inductor.config as config
import torch._inductor.utils as utils

import inductor_override as io

RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])
compile_took: list[float] = []


def each(function: Callable[[], object], times: int) -> float:
    """Microseconds for one call."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times * 1e6


def a_scope() -> None:
    with io.override(min_sms=0):
        pass


def a_patch() -> None:
    with config.patch({"epilogue_fusion": False}):
        pass


def enter(rounds: int = 15, times: int = 200) -> None:
    """The first scope of a process installs and un-patches; one within another does not."""
    for what in ("alone, installs and un-patches each time", "within enable()"):
        if what.startswith("within"):
            io.enable()
        a_scope()
        pairs = [(each(a_scope, times), each(a_patch, times)) for _ in range(rounds)]
        io.disable()
        print(f"  override(), {what}: us {middle([p[0] for p in pairs])}")
        print(f"  config.patch: us {middle([p[1] for p in pairs])}")
        ratios = [ours / theirs for ours, theirs in pairs]
        report(f"override() / config.patch, {what}", statistics.median(ratios), 10, middle(ratios))


def gate(rounds: int = 15, times: int = 2000) -> None:
    device = torch.device("cuda", 0) if RELEASE >= (2, 6) else 0
    stock = [each(lambda: utils.is_big_gpu(device), times) for _ in range(rounds)]
    print(f"  torch's own (cached): us {middle(stock)}")
    for min_sms in (0, 28):
        with io.override(min_sms=min_sms):
            took = [each(lambda: utils.is_big_gpu(device), times) for _ in range(rounds)]
        report(f"gate at {min_sms}", statistics.median(took), 10, middle(took), " us")
        if compile_took:
            share = statistics.median(took) / 1e6 / statistics.median(compile_took)
            report(f"gate at {min_sms}, share of one small compile", share * 100, 0.1, unit=" %")


def compile_once(how: Callable[[], AbstractContextManager[object]]) -> float:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w  # no pointwise code: it would start a C++ compiler

    torch._dynamo.reset()
    fresh = types.FunctionType(function.__code__.replace(), globals())
    x, w = torch.randn(8, 8), torch.randn(8, 8)
    gc.collect()
    with how():
        start = time.process_time()  # other work on the machine changes wall time more than we do
        torch.compile(fresh)(x, w)
        return time.process_time() - start


def compile(pairs: int = 401) -> None:
    """At 68 the override decides about this GPU as torch does."""
    import contextlib

    def ours() -> io.Scope:
        return io.override(min_sms=68)

    off = [n for n in ("fx_graph_cache", "fx_graph_remote_cache") if n in config._config]
    with contextlib.ExitStack() as stack:
        stack.enter_context(config.patch(dict.fromkeys(off, False)))
        for how in (contextlib.nullcontext, ours, contextlib.nullcontext, ours):
            compile_once(how)
        gc.collect()
        gc.freeze()  # a collection in the middle of one compile is neither's doing
        ratios = []
        for turn in range(pairs):
            order: list[Callable[[], AbstractContextManager[object]]]
            order = [contextlib.nullcontext, ours] if turn % 2 else [ours, contextlib.nullcontext]
            took = {how: compile_once(how) for how in order}
            ratios.append(took[ours] / took[contextlib.nullcontext])
            compile_took.append(took[contextlib.nullcontext])
    gc.unfreeze()
    print(f"  stock: CPU s {middle(compile_took)}")
    report("compile under an override / stock", statistics.median(ratios), 1.02, middle(ratios))


def growth(cycles: int = 10_000) -> None:
    for _ in range(1000):
        a_scope()
    gc.collect()
    before = resident()
    for _ in range(cycles):
        a_scope()
    gc.collect()
    report(f"memory after {cycles} scopes", (resident() - before) / 2**20, 1, unit=" MiB")
    kept = kept_by_each(a_scope, cycles)
    report("Python objects kept by each scope", kept, 1, unit=" bytes")
    with ThreadPoolExecutor(1) as pool:

        def read_elsewhere() -> None:
            """As a compile does. Threads keep what they read, from torch 2.13 on."""
            pool.submit(config.save_config).result()

        def a_scope_read_elsewhere() -> None:
            with io.override(min_sms=0):
                read_elsewhere()
            read_elsewhere()

        without = kept_by_each(read_elsewhere, cycles // 5)
        kept = kept_by_each(a_scope_read_elsewhere, cycles // 5) - without
    report("the same, where another thread reads the config", kept, 100, unit=" bytes")


def kept_by_each(call: Callable[[], None], times: int) -> float:
    """Bytes."""
    tracemalloc.start()
    for _ in range(100):
        call()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(times):
        call()
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return kept / times


def main() -> None:
    warnings.simplefilter("ignore", io.NoEffectWarning)
    parts: dict[str, Callable[[], None]]
    parts = {"compile": compile, "gate": gate, "enter": enter, "growth": growth}
    wanted = sys.argv[1:] or list(parts)
    unknown = [name for name in wanted if name not in parts]
    if unknown:
        sys.exit(f"no part named {unknown[0]!r}; there are {', '.join(parts)}")
    print(conditions())
    for name in wanted:
        parts[name]()


if __name__ == "__main__":
    main()
