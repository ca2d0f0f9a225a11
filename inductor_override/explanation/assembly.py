"""Puts what the process with the simulated GPU sends together to a report."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from inductor_override.catalogue import Gpu
from inductor_override.explanation.report import (
    Candidate,
    OnGpu,
    Problem,
    Report,
    Side,
    Totals,
    Verdict,
)
from inductor_override.explanation.verdict import judge
from inductor_override.simulation.machine_code import MachineCode
from inductor_override.simulation.result import Lowering, Selection

Key = tuple[str, int, int, int, int, str, str, tuple[str, ...]]


class Assembly:
    """A report in the making. What was sent before an interrupt makes a valid one.

    Args:
        empty: the report's head.
        gpus: its columns.
    """

    def __init__(self, empty: Report, gpus: list[Gpu]) -> None:
        self._empty, self._gpus = empty, gpus
        self._arms: dict[tuple[int, str], dict[str, Any]] = {}
        self._codes: dict[tuple[tuple[int, int], str], MachineCode] = {}
        self._to_compile: int | None = None

    def add(self, answer: dict[str, Any]) -> None:
        """Take one answer."""
        if answer["kind"] in ("lowered", "not-compiled"):
            self._arms[answer["gpu"], answer["arm"]] = answer
        elif answer["kind"] == "compiled":
            capability = self._gpus[answer["gpu"]].compute_capability
            self._codes[capability, answer["key"]] = MachineCode(**answer["code"])
        else:
            self._to_compile = answer["count"]

    @property
    def progress(self) -> tuple[str, int, int]:
        """What is being done, how much of it is done, and of how much."""
        if self._to_compile is None:
            return "lowering without and with the override", len(self._arms), 2 * len(self._gpus)
        return "compiling the Triton candidates", len(self._codes), self._to_compile

    @property
    def lowered(self) -> bool:
        """Whether everything is lowered: from then on there is something to report."""
        return len(self._arms) == 2 * len(self._gpus)

    def report(self) -> Report:
        """The report of all that is known by now."""
        numbers: dict[Key, int] = {}
        counted: dict[Key, list[int]] = {}
        columns = []
        total = 0
        for number, gpu in enumerate(self._gpus):
            both = [self._arms[number, arm] for arm in ("stock", "override")]
            failed = next((arm for arm in both if arm["kind"] == "not-compiled"), None)
            if failed is not None:
                verdict = Verdict("not-compiled", f"{failed['message']}.")
                columns.append(OnGpu(gpu, verdict=verdict))
                continue
            stock, override = ([Lowering.from_dict(g) for g in arm["graphs"]] for arm in both)
            sides: dict[Key, tuple[Side, Side]] = {}
            here: dict[Key, list[int]] = {}
            for before, after, graph in _pairs(stock, override):
                key = _key(after)
                sides.setdefault(
                    key, (self._side(before, graph, gpu), self._side(after, graph, gpu))
                )
                here.setdefault(key, []).append(after.flops)
                numbers.setdefault(key, len(numbers))
            for key, flops in here.items():
                counted.setdefault(key, flops)
            total = total or _flops(override, here)
            columns.append(self._column(gpu, both, (stock, override), sides, here, numbers))
        problems = tuple(
            Problem(*key, len(counted[key]), sum(counted[key]), _share(counted[key], total))
            for key in numbers
        )
        columns = [
            column
            if column.verdict.code
            else dataclasses.replace(column, verdict=judge(column, problems, self._empty.options))
            for column in columns
        ]
        return dataclasses.replace(
            self._empty,
            flops=total,
            problems=problems,
            gpus=tuple(columns),
            complete=self._to_compile is None or self._to_compile == len(self._codes),
        )

    def _column(
        self,
        gpu: Gpu,
        both: list[dict[str, Any]],
        lowered: tuple[list[Lowering], list[Lowering]],
        sides: dict[Key, tuple[Side, Side]],
        here: dict[Key, list[int]],
        numbers: dict[Key, int],
    ) -> OnGpu:
        stock, override = both
        behind = [key for key, each in sides.items() if each[0].triton or each[1].triton]
        keys = {key for graph in lowered[1] for key in graph.candidate_kernels}
        codes = [
            code
            for key in keys
            if (code := self._codes.get((gpu.compute_capability, key))) is not None
        ]
        flops = _flops(lowered[1], here)
        compiled = [c for each in sides.values() for c in each[1].triton if c.code is not None]
        known = bool(compiled) and len(codes) == len(keys)
        notes = override["notes"]
        applies = {
            "spilled": not known or any(c.code and c.code.spilled > 32 for c in compiled),
            "large": not known or not all(c.fits(gpu) for c in compiled),
        }
        return OnGpu(
            gpu,
            gate_open=(stock["open"], override["open"]),
            required_sms=(stock["required_sms"], override["required_sms"]),
            consulted=override["consulted"],
            problems={numbers[key]: each for key, each in sides.items()},
            totals=Totals(
                gemms=sum(map(len, here.values())),
                behind_gate=sum(len(here[key]) for key in behind),
                flops_share_behind_gate=_share([f for k in behind for f in here[k]], flops),
                kernels=_both(lowered, lambda graph: len(graph.kernels)),
                bytes_moved=_both(lowered, lambda graph: graph.bytes_moved),
                candidate_kernels=len(keys),
                compiled=len(codes),
                compile_seconds=sum(code.seconds for code in codes),
            ),
            forced_code="\n\n".join(_templates(graph.source) for graph in lowered[1]).strip(),
            notes=tuple(text for about, text in notes if keys and applies[about]),
        )

    def _side(self, selection: Selection, graph: Lowering, gpu: Gpu) -> Side:
        candidates = tuple(
            Candidate(
                choice.kernel,
                graph.candidate_kernels[choice.kernel],
                self._codes.get((gpu.compute_capability, choice.kernel)),
            )
            for choice in selection.choices
            if choice.kernel in graph.candidate_kernels
        )
        return Side(len(selection.choices), selection.kernel, candidates)


def _pairs(
    stock: list[Lowering], override: list[Lowering]
) -> Iterator[tuple[Selection, Selection, Lowering]]:
    """Selections for one node, without and with the override.

    What Inductor selects within a candidate (a decomposition) has no counterpart, and is no
    product of the model.
    """
    for before, after in zip(stock, override, strict=True):
        waiting: dict[str, list[Selection]] = {}
        for selection in before.selections:
            waiting.setdefault(selection.node, []).append(selection)
        for selection in after.selections:
            if waiting.get(selection.node):
                yield waiting[selection.node].pop(0), selection, after


def _key(selection: Selection) -> Key:
    return (
        selection.op,
        selection.m,
        selection.n,
        selection.k,
        selection.batch,
        selection.dtype,
        selection.layout,
        selection.epilogue,
    )


def _flops(graphs: list[Lowering], here: dict[Key, list[int]]) -> int:
    """Of the model. torch counts no operations of sizes that depend on data: the rows do."""
    return max(sum(graph.flops for graph in graphs), sum(map(sum, here.values())))


def _share(flops: list[int], total: int) -> float:
    return sum(flops) / total if total else 0.0


def _both(lowered: tuple[list[Lowering], list[Lowering]], of: Any) -> tuple[int, int]:
    first, second = (sum(of(graph) for graph in graphs) for graphs in lowered)
    return first, second


def _templates(source: str) -> str:
    """The Triton template kernels in generated wrapper code."""
    found = re.findall(r"async_compile\.triton\(\s*'(\w+)',\s*'''(.*?)'''", source, re.DOTALL)
    return "\n".join(
        code.strip() for _, code in found if re.search(r"^@(\w+\.)?template\(", code, re.MULTILINE)
    )
