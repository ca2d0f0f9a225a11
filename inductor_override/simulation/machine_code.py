"""Candidate kernels as machine code: compiled by the real Triton for a GPU that is not here.

What a kernel needs is read from the machine code with the tools that Triton ships (`cuobjdump`,
`nvdisasm`), not from torch's estimate: torch counts one pipeline stage more than Triton allocates.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from inductor_override.simulation import hardware
from inductor_override.simulation.result import CandidateKernel

# Tensor Core instructions: HMMA, IMMA, QMMA ... (7.0 on), HGMMA ... (9.0), UTCHMMA ... (10.0 on).
# In PTX: mma.sync, wmma.mma.sync, wgmma.mma_async, tcgen05.mma.
_TENSOR_CORE = re.compile(r"\b(?:UTC)?[HIQOBDF]G?MMA\b|\bmma\.sync|\bmma_async|\btcgen05\.mma")
_ASYNC_COPY = re.compile(r"\b(?:LDGSTS|UBLKCP|UTMALDG)\b")


@dataclass(frozen=True)
class MachineCode:
    """One candidate kernel after compiling.

    Attributes:
        shared_memory: bytes per thread block.
        registers: per thread.
        spilled: bytes per thread that did not fit into registers (Triton's `n_spills` times 4).
        tensor_core: how many Tensor Core instructions the code has.
        pipelined: whether it loads the next tiles while it computes.
        threads: per thread block.
        seconds: what compiling took, now or when the result was written to the disk.
        error: the compiler's last line if it gave up; the other numbers are 0 then.
    """

    shared_memory: int = 0
    registers: int = 0
    spilled: int = 0
    tensor_core: int = 0
    pipelined: bool = False
    threads: int = 0
    seconds: float = 0.0
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compile_kernel(key: str, kernel: CandidateKernel, cache_folder: Path) -> MachineCode:
    """Compile one candidate for the simulated GPU, or take the result of an earlier run.

    Args:
        key: the kernel's, in `Lowering.candidate_kernels`.
        cache_folder: where results are kept.
    """
    kept = _kept_at(key, cache_folder)
    try:
        return MachineCode(**json.loads(kept.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        pass  # not there, or left by another version
    started = time.perf_counter()
    try:
        binary = _compile(kernel)
    except Exception as error:  # whatever Triton's passes and ptxas raise
        return MachineCode(error=_reason(error), seconds=time.perf_counter() - started)
    result = _inspect(binary, kernel, time.perf_counter() - started)
    _keep(kept, result)
    return result


def tools() -> Path:
    """The folder of the tools that Triton ships."""
    import triton

    return Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@cache
def _prepared() -> Any:
    """torch's loader of kernel sources, with nothing left that asks for a driver."""
    from torch._inductor.codecache import PyCodeCache
    from torch._inductor.runtime import triton_helpers

    triton_helpers.set_driver_to_gpu = lambda *args: None
    return PyCodeCache


def _compile(kernel: CandidateKernel) -> Any:
    module = _prepared().load_by_key_path(kernel.module_key, kernel.path)
    autotuner = getattr(module, kernel.name)
    compile_one, config = autotuner._precompile_config, autotuner.configs[0]
    if "warm_cache_only" in inspect.signature(compile_one).parameters:  # until torch 2.6
        return compile_one(config, warm_cache_only=True)[0]
    return compile_one(config).kernel


def _inspect(binary: Any, kernel: CandidateKernel, seconds: float) -> MachineCode:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        usage = _output_of("cuobjdump", "--dump-resource-usage", file.name)
        try:
            code = _output_of("nvdisasm", "-c", file.name)
        except subprocess.CalledProcessError:  # that of CUDA 13 does not know capability 7.0
            code = binary.asm["ptx"]
    numbers = {name: int(value) for name, value in re.findall(r"\b([A-Z]+):(\d+)", usage)}
    return MachineCode(
        shared_memory=int(binary.metadata.shared),
        registers=numbers.get("REG", 0),
        spilled=numbers.get("STACK", 0),
        tensor_core=len(_TENSOR_CORE.findall(code)),
        pipelined=_ASYNC_COPY.search(code) is not None,
        threads=int(binary.metadata.num_warps) * 32,
        seconds=seconds,
    )


def _output_of(tool: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(tools() / tool), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def _kept_at(key: str, folder: Path) -> Path:
    import torch
    import triton

    target = hardware.installed_gpu().capability
    named = "\n".join((key, target, triton.__version__, torch.__version__))
    return folder / f"{hashlib.sha256(named.encode()).hexdigest()}.json"


def _keep(path: Path, result: MachineCode) -> None:
    """Another process may read the file meanwhile, so it is put in place whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps(result.to_dict()), "utf-8")
        written.replace(path)
    except OSError:
        pass  # a full disk or a folder that cannot be written costs time, not the answer


def _reason(error: BaseException) -> str:
    """The line of a compiler's error that says why: ptxas' own, else the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Repro command")]
    fatal = [line for line in lines if line.startswith("ptxas fatal")]
    return (fatal or lines or [type(error).__name__])[-1][:200]
