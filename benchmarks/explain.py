"""What `explain` takes: the demo, compiling, a whole model, and models of 1 to 1,000 GEMMs.

    python benchmarks/explain.py [llama]

Seconds of wall time, each from one run, on a machine that should do nothing else. `llama` needs
transformers: a Llama-7B of its classes on `meta`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

import torch

import inductor_override as io
from inductor_override.explanation import Problem


def timed(what: str, **environment: str) -> None:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "inductor_override", *what.split()],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    print(f"{what}: {time.perf_counter() - started:.1f} s", flush=True)


def layers(count: int) -> torch.nn.Module:
    return torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(count)))


def llama_7b() -> tuple[torch.nn.Module, tuple[()], dict[str, object]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    ids = torch.zeros((1, 512), dtype=torch.int64)
    model = LlamaForCausalLM(LlamaConfig()).to(torch.float16)
    return model, (), {"input_ids": ids, "use_cache": False}


def main() -> None:
    with tempfile.TemporaryDirectory() as cold:
        timed("explain --no-compile", XDG_CACHE_HOME=cold)
        timed("explain", XDG_CACHE_HOME=cold)
        timed("explain", XDG_CACHE_HOME=cold)
        os.environ["XDG_CACHE_HOME"] = cold
        report = io.explain(Problem(1024, 1024, 1024))
        totals = report.gpus[0].totals
        print(f"{totals.candidate_kernels} candidates: {totals.compile_seconds:.1f} s of one core")
    for count in (1, 10, 100, 1000):
        started = time.perf_counter()
        x = torch.zeros(64, 64)
        report = io.explain(lambda count=count: layers(count), (x,), compile_candidates=False)
        spent = time.perf_counter() - started
        assert report.gpus[0].totals.gemms == count
        print(f"{count} GEMMs: {spent:.1f} s", flush=True)
    if "llama" in sys.argv:
        started = time.perf_counter()
        report = io.explain(llama_7b, compile_candidates=False)
        spent = time.perf_counter() - started
        own, child = (
            resource.getrusage(who).ru_maxrss / 2**20
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        gemms = report.gpus[0].totals.gemms
        print(
            f"Llama-7B, {gemms} products: {spent:.1f} s, at most {own:.2f} GiB in this process and "
            f"{child:.2f} GiB in one of the others"
        )


if __name__ == "__main__":
    main()
