"""Rules: each looks at the facts, and says something only where that applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from packaging.version import Version

from inductor_override.diagnosis.machine import Device, Machine
from inductor_override.request.names import ENV_DISABLE, ENV_OPTION

_CONFIG = "torch/_inductor/config.py"
_SMALL_SHARED_MEMORY = 101_376
"""Bytes: capability 8.6, 8.9 and 12.x, of the CUDA Programming Guide's table."""
_ALIGNED = {"float16": 8, "bfloat16": 8, "float32": 4}
"""Elements in 16 bytes."""


@dataclass(frozen=True)
class Advice:
    """One thing to do.

    Attributes:
        code: a short name for it, for machines.
        says: what is the case.
        why: the reason that it matters.
        do: the command or the line.
        source: where the fact is from.
    """

    code: str
    says: str
    why: str
    do: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Asked:
    """What the user wants to do.

    Attributes:
        mode: of `torch.compile`; None if it was not told.
        dtype: of the products; None if it was not told.
        shapes: (m, k, n) of products.
    """

    mode: str | None = None
    dtype: str | None = None
    shapes: tuple[tuple[int, int, int], ...] = ()


_SPACE = "max_autotune_gemm_search_space"
Rule = Callable[[Machine, Asked], Iterator[Advice]]


def advise(machine: Machine, asked: Asked) -> list[Advice]:
    """All that applies, what matters most first."""
    return [advice for rule in _RULES for advice in rule(machine, asked)]


def _cannot_win(machine: Machine, asked: Asked) -> Iterator[Advice]:
    for device in machine.devices:
        if _without_tensor_cores(machine, device) and asked.dtype != "float32":
            yield Advice(
                "no-tensor-cores",
                f"Forcing cannot help on {device.name} for float16.",
                f"Triton {machine.triton} compiles a float16 product for capability "
                f"{device.capability_text} without one Tensor Core instruction, and the library "
                "uses Tensor Cores where the GPU has any (GTX 16 and T1000 have none).",
                f"Leave it alone. See it of your model: inductor-override explain --gpu "
                f'"{device.name}" --module FILE.py:NAME',
                "machine code of Triton 3.4.0, 3.6.0, 3.7.1 and 3.9.0 for 7.5, read on 2026-11-25; "
                "https://github.com/triton-lang/triton/issues/10918",
            )
    if machine.options.get("deterministic"):
        yield Advice(
            "deterministic",
            "Inductor is deterministic here: it takes the library's kernel and times nothing.",
            "The override changes nothing then.",
            "unset TORCHINDUCTOR_DETERMINISTIC, or torch._inductor.config.deterministic = False",
            f"{_CONFIG}: deterministic",
        )
    for kind in ("gemm", "conv"):
        backends = machine.options.get(f"max_autotune_{kind}_backends")
        if backends is not None and "TRITON" not in str(backends).upper():
            what = "matrix products" if kind == "gemm" else "convolutions"
            yield Advice(
                f"no-triton-backend-{kind}",
                f"The list of backends for {what} is {backends!r}, without TRITON.",
                "The open gate adds Triton templates, and there are none then.",
                f"export TORCHINDUCTOR_MAX_AUTOTUNE_{kind.upper()}_BACKENDS=ATEN,TRITON",
                f"{_CONFIG}: max_autotune_{kind}_backends",
            )


def _nothing_works(machine: Machine, asked: Asked) -> Iterator[Advice]:
    if machine.environment.get(ENV_DISABLE, "").strip() == "1":
        yield Advice(
            "switched-off",
            f"{ENV_DISABLE}=1: every entry of inductor-override does nothing.",
            "What follows works only without it.",
            f"unset {ENV_DISABLE}",
            "docs/ways.md",
        )
    if machine.has_driver:
        yield Advice(
            "torch-without-gpu",
            f"NVIDIA's driver is here, and torch {machine.torch} can use no GPU.",
            "It is a build for the CPU, or for another driver.",
            "install a CUDA build of torch",
            "/proc/driver/nvidia/version, torch.cuda.is_available()",
        )


def _refused(machine: Machine, asked: Asked) -> Iterator[Advice]:
    for device in machine.devices:
        let_through = machine.min_sms is not None and device.sms >= machine.min_sms
        hopeless = _without_tensor_cores(machine, device) and asked.dtype != "float32"
        if device.passes is not False or let_through or hopeless:
            continue
        yield Advice(
            "gpu-refused",
            f"torch {machine.torch} refuses {device.name}: {device.sms} SMs, and it asks for "
            f"{machine.stock_min_sms}.",
            "No Triton template is a candidate for matrix products and convolutions then, whatever "
            "mode=... says.",
            f'inductor-override explain --gpu "{device.name}" --module FILE.py:NAME says what '
            "there is to gain; then `with inductor_override.override(min_sms=0):` around the "
            "first call, or inductor-override run --max-autotune -- COMMAND",
            "torch._inductor.utils.is_big_gpu; https://github.com/pytorch/pytorch/issues/109489",
        )


def _mode(machine: Machine, asked: Asked) -> Iterator[Advice]:
    if asked.mode in ("default", "reduce-overhead"):
        yield Advice(
            "mode-tunes-nothing",
            f"mode={asked.mode!r} tunes no matrix product, so an open gate changes nothing.",
            "torch 2.6 to 2.13 ask the gate all the same, and print the warning about SMs.",
            "mode='max-autotune', or 'max-autotune-no-cudagraphs' (which tunes, too)",
            "torch._inductor.list_mode_options()",
        )
    tunes = machine.options.get("max_autotune") or machine.options.get("max_autotune_gemm")
    if machine.environment.get(ENV_OPTION) and machine.live and asked.mode is None and not tunes:
        yield Advice(
            "threshold-alone",
            f"{ENV_OPTION} is set, and nothing switches tuning on for the process.",
            "A plain torch.compile(model) tunes no matrix product.",
            "mode='max-autotune' in the program, or TORCHINDUCTOR_MAX_AUTOTUNE=1 beside it",
            f"{_CONFIG}: max_autotune",
        )


def _numbers(machine: Machine, asked: Asked) -> Iterator[Advice]:
    modern = any(each.capability and each.capability >= (8, 0) for each in machine.devices)
    if asked.dtype == "float32" and machine.precision == "highest" and modern:
        yield Advice(
            "float32-without-tf32",
            "float32 products are computed without Tensor Cores.",
            "torch.get_float32_matmul_precision() is 'highest'. TF32 keeps 10 bits of the "
            "mantissa, so the numbers change.",
            "torch.set_float32_matmul_precision('high'), in both arms of a comparison",
            "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        )
    elements = _ALIGNED[asked.dtype or "float16"]
    for m, k, n in asked.shapes:
        odd = [f"{name}={size}" for name, size in (("K", k), ("N", n)) if size % elements]
        if odd:
            yield Advice(
                "sizes-not-aligned",
                f"{m}x{k}x{n}: {' and '.join(odd)} is no multiple of {elements}.",
                "Tensor Cores are fed in pieces of 16 bytes; other sizes need padding or slower "
                "loads, in every kernel.",
                f"sizes that are multiples of {elements} ({', '.join(_padded(odd, elements))})",
                "NVIDIA, Matrix Multiplication Background User's Guide, Tensor Core Requirements",
            )


def _small_parts(machine: Machine, asked: Asked) -> Iterator[Advice]:
    prunes = machine.options.get("max_autotune_prune_choices_based_on_shared_mem")
    small = [d for d in machine.devices if (d.shared_memory or 1 << 20) <= _SMALL_SHARED_MEMORY]
    tried = [d for d in small if not _without_tensor_cores(machine, d)]
    if tried and prunes is False and machine.release >= (2, 11):
        yield Advice(
            "oversize-candidates",
            f"A block on {tried[0].name} may have {(tried[0].shared_memory or 0) >> 10} KiB of "
            "shared memory, and Inductor's larger candidates need more.",
            "They are compiled and cannot run, at the cost of the tuning.",
            "inductor-override compare --module FILE.py:NAME --arm stock --arm min_sms=0 --arm "
            "min_sms=0,max_autotune_prune_choices_based_on_shared_mem=True (torch's estimate "
            "counts one stage too many, so it drops some that would run)",
            f"{_CONFIG}; https://github.com/pytorch/pytorch/pull/170832",
        )
    patience = machine.options.get("precompilation_timeout_seconds")
    if patience and patience <= 300 and machine.options.get(_SPACE) == "EXHAUSTIVE":
        yield Advice(
            "precompilation-timeout",
            f"{_SPACE} is EXHAUSTIVE, about 1,400 to 1,900 candidates for one operation, and "
            f"Inductor waits {patience} s for them.",
            "A candidate that is not compiled by then is dropped.",
            "export TORCHINDUCTOR_PRECOMPILATION_TIMEOUT_SECONDS=1800",
            f"{_CONFIG}: precompilation_timeout_seconds",
        )
    in_this_process = machine.options.get("autotune_in_subproc") is False
    if in_this_process and machine.options.get(_SPACE) == "EXHAUSTIVE":
        yield Advice(
            "tuning-in-this-process",
            f"{_SPACE} is EXHAUSTIVE, and Inductor tries its candidates in the program's process.",
            "After one that faults (illegal memory access) CUDA serves that process no more.",
            "export TORCHINDUCTOR_AUTOTUNE_IN_SUBPROC=1",
            "torch/_inductor/select_algorithm.py: benchmark_choices, which says so itself from "
            "2.13 on",
        )


def someone_at_the_gate(owner: str, seen: str) -> Advice:
    """Advice about another function in the place of torch's gate.

    Args:
        seen: how it was found, for the source.
    """
    return Advice(
        "someone-at-the-gate",
        f"{owner} stands in the place of torch's is_big_gpu.",
        "The override goes on top of it, and leaves it there afterwards. Without the override "
        "that function decides, for every model of the process.",
        "take the pasted line out, if it is yours",
        f"torch._inductor.utils.is_big_gpu, {seen}",
    )


def _others(machine: Machine, asked: Asked) -> Iterator[Advice]:
    if machine.gate_owner:
        yield someone_at_the_gate(machine.gate_owner, "as this process finds it")
    if machine.edited:
        yield Advice(
            "torch-was-edited",
            f"{machine.edited} is not the file that was installed.",
            "Its gate may answer anything, and Inductor's caches may hold what it let through.",
            "pip install --force-reinstall --no-deps torch==" + machine.torch.partition("+")[0],
            "the hashes in torch's RECORD",
        )
    if machine.problem:
        yield Advice("problem", machine.problem, "See `inductor-override status`.", "", "status()")
    if "vllm" in machine.packages and machine.live:
        yield Advice(
            "vllm-cache",
            f"vLLM {machine.packages['vllm']} keeps compiled graphs of its own.",
            "The key of that cache has no option of Inductor's that the environment sets in some "
            "releases: what was compiled plainly is then served under the override.",
            "VLLM_DISABLE_COMPILE_CACHE=1, or another VLLM_CACHE_ROOT, or the option in vLLM's "
            "inductor_compile_config, which is in the key",
            "vllm/compilation: get_inductor_factors",
        )


def _without_tensor_cores(machine: Machine, device: Device) -> bool:
    if device.capability is None or device.capability >= (8, 0) or machine.triton is None:
        return False
    return Version(machine.triton) >= Version("3.4")


def _padded(odd: list[str], elements: int) -> list[str]:
    sizes = [each.partition("=")[::2] for each in odd]
    return [f"{name}={-(-int(size) // elements) * elements}" for name, size in sizes]


_RULES: tuple[Rule, ...] = (
    _nothing_works,
    _cannot_win,
    _refused,
    _mode,
    _numbers,
    _small_parts,
    _others,
)
