"""What torch decides about a GPU, what the override would change, and how that shows in the code.

from inductor_override import catalogue
from inductor_override.explain import explain

report = explain(catalogue.find("RTX 3060"), m=1024, k=1024, n=1024)
len(report.stock.candidates), len(report.override.candidates)
"""

from __future__ import annotations

import dataclasses

from inductor_override.catalogue import Gpu
from inductor_override.explain import process
from inductor_override.explain.report import Outcome, Report, Side
from inductor_override.simulation import toolchain

__all__ = ["Outcome", "Report", "Side", "explain"]


def explain(
    gpu: Gpu,
    *,
    m: int = 1024,
    k: int = 1024,
    n: int = 1024,
    dtype: str = "float16",
    min_sms: int = 0,
) -> Report:
    """Lower `relu(a @ b)` for `gpu`, without the override and with `override(min_sms)`.

    `a` is m x k and `b` is k x n.  It takes about as long as importing Inductor does, in a process
    of its own: this one is left as it was.

    Raises:
        ToolchainError: torch or Triton is missing, too old, or not the one that the other wants.
        NotCompiledError: torch does not compile this dtype for this GPU at all.
        ChildFailed: the process with the simulated GPU failed; it holds what that process printed.
    """
    found = toolchain.check()
    reply = process.run(
        {
            "gpu": dataclasses.asdict(gpu),
            "lower": {"m": m, "k": k, "n": n, "dtype": dtype},
            "min_sms": min_sms,
        }
    )
    return Report(
        torch=found.torch,
        triton=found.triton,
        gpu=gpu,
        m=m,
        k=k,
        n=n,
        dtype=dtype,
        stock=Side.from_dict(reply["stock"]),
        override=Side.from_dict(reply["override"]),
    )
