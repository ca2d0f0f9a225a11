"""One verdict for a model on a GPU, before anyone tunes for minutes."""

from __future__ import annotations

from typing import Any

from inductor_override.catalogue import Gpu
from inductor_override.explanation.report import Candidate, OnGpu, Problem, Side, Verdict

# NVIDIA's libraries use Tensor Cores for these from 7.0 on (bfloat16 from 8.0 on).
_TENSOR_CORE_DTYPES = ("float16", "bfloat16", "int8", "float8_e4m3fn", "float8_e5m2")


def judge(column: OnGpu, problems: tuple[Problem, ...], options: dict[str, Any]) -> Verdict:
    """The first reason that applies, or `worth-trying`.

    Args:
        options: further Inductor options that were asked for.
    """
    gpu, (stock_open, override_open) = column.gpu, column.gate_open
    threshold, min_sms = column.required_sms
    sides = {problems[i]: each for i, each in column.problems.items()}
    forced = {problem: override for problem, (_, override) in sides.items() if override.triton}
    backends = str(options.get("max_autotune_gemm_backends", "TRITON")).upper()
    conv_backends = str(options.get("max_autotune_conv_backends", "TRITON")).upper()
    if "TRITON" not in backends and ("TRITON" not in conv_backends or not forced):
        return Verdict(
            "triton-not-among-backends",
            "max_autotune_gemm_backends has no TRITON, so Inductor has nothing but the library, "
            "whatever the gate says.",
        )
    if options.get("deterministic"):
        return Verdict(
            "deterministic",
            "With the option deterministic Inductor takes the library's kernel without timing any "
            "other, so the override changes nothing.",
        )
    if not sides or not (
        column.consulted or any(s.triton for both in sides.values() for s in both)
    ):
        return Verdict(
            "no-gemm-behind-the-gate",
            "Inductor never asks the gate for this model: it has no matrix product and no "
            "convolution for which Inductor has a template, so there is nothing to tune.",
        )
    if stock_open:
        text = (
            f"torch's own gate lets {gpu.name} through ({gpu.sms} SMs, it asks for {threshold}): "
            "max-autotune tunes matrix products and convolutions on it without the override."
        )
        if not override_open:
            text += f" min_sms={min_sms} would hold it back."
        return Verdict("gate-open-anyway", text)
    if not override_open:
        return Verdict(
            "min-sms-too-high",
            f"The override changes nothing: {gpu.name} has {gpu.sms} SMs, fewer than "
            f"min_sms={min_sms}. min_sms={gpu.sms} or less opens the gate.",
        )
    if not forced:
        return Verdict(
            "no-gemm-behind-the-gate",
            "The override opens the gate, but Inductor has no Triton template for any product of "
            "this model.",
        )
    return _of_candidates(gpu, forced, column)


def _first_error(candidates: list[Candidate]) -> str:
    errors = (c.code.error for c in candidates if c.code is not None and c.code.error)
    return next(errors, "")


def _of_candidates(gpu: Gpu, forced: dict[Problem, Side], column: OnGpu) -> Verdict:
    candidates = [candidate for side in forced.values() for candidate in side.triton]
    compiled = all(candidate.code is not None for candidate in candidates)
    runnable = {
        problem: fitting
        for problem, side in forced.items()
        if (fitting := [c for c in side.triton if c.fits(gpu)])
    }
    if compiled and not runnable:
        reasons = []
        failed = sum(c.code is not None and c.code.error is not None for c in candidates)
        if failed:
            reasons.append(
                f"Triton does not compile {failed} of them for compute capability "
                f"{gpu.capability} ({_first_error(candidates)})"
            )
        if large := len(candidates) - failed:
            need = "needs" if large == 1 else "need"
            reasons.append(
                f"{large} {need} more shared memory than the {gpu.shared_memory_optin:,} bytes "
                "that a thread block may have"
            )
        return Verdict(
            "nothing-fits",
            f"The override opens the gate, but none of the {len(candidates)} Triton candidates can "
            f"run on {gpu.name}: {'; '.join(reasons)}.",
        )
    wanting = [problem for problem in runnable if problem.dtype in _TENSOR_CORE_DTYPES]
    using = [
        problem
        for problem in wanting
        if any(c.code is not None and c.code.tensor_core for c in runnable[problem])
    ]
    if compiled and wanting and len(wanting) == len(runnable) and not using:
        return Verdict(
            "no-tensor-cores",
            f"Leave it alone: compiled for {gpu.name}, not one Triton candidate has a Tensor Core "
            "instruction, and the library uses Tensor Cores where the GPU has any. Forcing cannot "
            "win there with this Triton.",
        )
    share, totals = column.totals.flops_share_behind_gate, column.totals
    text = (
        f"torch's gate holds back {totals.behind_gate} of {totals.gemms} products "
        f"({share:.0%} of the floating-point operations). "
    )
    if compiled:
        fit = sum(len(each) for each in runnable.values())
        text += f"With the override {fit} of {len(candidates)} Triton candidates can run. "
    else:
        text += (
            f"With the override Inductor has {len(candidates)} Triton candidates to time. They "
            "were not compiled, so whether they fit and use Tensor Cores was not checked. "
        )
    text += "Whether one of them is faster than the library, only the GPU can tell: measure it."
    return Verdict("worth-trying", text)
