"""What Inductor made of one case in one process: so that an effect is credited to its cause."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from inductor_override.tuning import Tuned, listening

_KERNEL = re.compile(r"\basync_compile\.\w+\(\s*'(\w+)'")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
"""Numbers of graphs and paths of files stand in comments."""
_CALL = re.compile(
    r"\b(extern_kernels\.\w+|aoti_torch_\w+|torch\.ops\.(?:aten|mkl|mkldnn|_\w+)(?:\.\w+)+)\("
)
_COUNTERS = ("fxgraph_cache_hit", "fxgraph_cache_miss", "pad_mm_bench", "pattern_matcher_count")


@dataclass
class Observed:
    """What was seen while one case was compiled.

    Attributes:
        code: a digest of the generated code; empty if none was generated.
        kernels: the kernels and library calls in it, each with how often it stands there.
        counters: torch's own, such as cache hits.
        graph_breaks: how many.
        tuned: what the tuner measured.
    """

    code: str = ""
    kernels: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    graph_breaks: int = 0
    tuned: list[Tuned] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return {**vars(self), "tuned": [each.to_dict() for each in self.tuned]}


@contextmanager
def observing() -> Iterator[Observed]:
    """Watch what is compiled in the block. For a process that does nothing else."""
    from torch._dynamo.utils import counters
    from torch._inductor.graph import GraphLowering

    seen = Observed()
    codes: list[str] = []
    # torch calls this with each generated code: a function that does nothing, or from 2.10 on None.
    saved = vars(GraphLowering).get("save_output_code")
    counters.clear()
    GraphLowering.save_output_code = staticmethod(codes.append)
    try:
        with listening(seen.tuned.append):
            yield seen
    finally:
        GraphLowering.save_output_code = saved
        seen.code = digest(codes)
        seen.kernels = dict(Counter(each for code in codes for each in kernels(code)))
        found = counters["inductor"]
        seen.counters = {name: found[name] for name in _COUNTERS if found[name]}
        seen.graph_breaks = sum(counters["graph_break"].values())


def kernels(code: str) -> list[str]:
    """What a generated wrapper launches, without the numbers at the end of names."""
    named = [*_KERNEL.findall(code), *_CALL.findall(code)]
    return [re.sub(r"_\d+$", "", name) for name in named]


def digest(codes: list[str]) -> str:
    """The same for two processes that generated the same code in other folders."""
    if not codes:
        return ""
    text = "\n".join(sorted(codes)).replace(os.environ.get("TORCHINDUCTOR_CACHE_DIR", "\0"), "")
    text = _COMMENT.sub("", text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
