"""What torch's own tuner measured, in a scope and in a process. The tuning is real, on the CPU."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._functorch.config as functorch_config
import torch._inductor.config as config
from conftest import InThread
from this_torch import HAS_FEEDBACK, HAS_FX_CACHE, VALUES_PER_THREAD

import inductor_override as io
from inductor_override.open_scopes import Counts
from inductor_override.tuning import LIBRARY, OTHER, TRITON, Timed, Tuned
from inductor_override.tuning_report import hand_in, why_nothing_opened

tells = pytest.mark.skipif(not HAS_FEEDBACK, reason="torch tells what was tuned from 2.6 on")
RUN = (sys.executable, "-m", "inductor_override", "run")
Product = tuple[str, tuple[str, ...]]
"""Operation and sizes."""
Tune = Callable[..., Product]
RunProgram = Callable[..., subprocess.CompletedProcess[str]]


def another_mm(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """A second candidate, so that there is something to choose from without a C++ compiler."""
    return torch.mm(a, b, out=out)


WITH_TWO: dict[str, Any] = {
    "max_autotune_gemm": True,
    "external_matmul": [another_mm],
    "fx_graph_cache": False,
}
_sizes = itertools.count(8)


@pytest.fixture
def tune() -> Iterator[Tune]:
    """Compile a product of a size of its own, since torch times each problem once."""
    torch._dynamo.reset()

    def run(size: int | None = None) -> Product:
        size = size or next(_sizes)
        matrix = torch.randn(size, size)
        fresh = types.FunctionType((lambda x: x @ x).__code__.replace(), globals())
        torch.compile(fresh, dynamic=False)(matrix)
        return "mm", (f"{size}x{size}",) * 2

    yield run
    torch._dynamo.reset()


def tuned_in(scope: io.Scope) -> list[Product]:
    return [(each.op, each.sizes) for each in scope.report().tuned]


@tells
def test_a_scope_tells_what_was_tuned_in_it_and_how_long_it_took(tune: Tune) -> None:
    with io.override(min_sms=0, **WITH_TWO) as scope:
        problem = tune()
    assert tuned_in(scope) == [problem]
    report = scope.report()
    (operation,) = report.tuned
    assert {each.name for each in operation.fastest} == {"mm", "another_mm"}
    assert (operation.dtype, operation.candidates, operation.failed) == ("float32", 2, 0)
    kinds = {each.name: each.kind for each in operation.fastest}
    assert kinds == {"mm": LIBRARY, "another_mm": OTHER}
    library, winner, other = operation.library, operation.winner, operation.fastest[1]
    assert library is not None
    assert library.name == "mm"
    assert winner is not None
    assert winner.milliseconds is not None
    assert other.milliseconds is not None
    assert winner.milliseconds <= other.milliseconds
    noted = torch._dynamo.utils.compilation_time_metrics
    assert report.seconds == pytest.approx(
        noted["mm_template_autotuning"][-1] + noted["mm_template_precompiling"][-1]
    )
    assert sum(report.winners.values()) == 1
    assert (report.asked, report.graphs, report.graphs_from_cache) == (0, 1, 0)
    assert json.loads(json.dumps(report.to_dict()))["tuned"][0]["op"] == "mm"


@tells
def test_the_log_tells_of_that_time_alone_when_a_scope_is_entered_again(
    tune: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    scope = io.override(min_sms=0, **WITH_TWO)
    with caplog.at_level(logging.INFO, "inductor_override"):
        with scope:
            for _ in range(3):
                tune()
        with scope:
            tune()
    first, second = (r.getMessage() for r in caplog.records if "tuned in" in r.getMessage())
    assert "3 graphs compiled; 3 operations tuned in" in first
    assert "1 graph compiled; 1 operation tuned in" in second
    assert len(scope.report().tuned) == 4


@tells
def test_what_a_late_backward_graph_tunes_is_told_by_its_scope(
    tune: Tune, caplog: pytest.LogCaptureFixture
) -> None:
    size = next(_sizes)
    x, w = torch.randn(size, size), torch.randn(size, size, requires_grad=True)
    function = types.FunctionType((lambda x, w: x @ w).__code__.replace(), globals())
    with io.override(min_sms=0, **WITH_TWO) as scope:
        out = torch.compile(function, dynamic=False)(x, w)
    forward = len(scope.report().tuned)
    out.sum().backward()
    assert len(scope.report().tuned) > forward == 1
    assert scope.graphs_compiled == 2
    assert "none with max-autotune" not in caplog.text


def test_why_nothing_could_be_tuned() -> None:
    """By numbers: the gate is asked for GPUs only."""
    asked = {"graphs": 1, "consulted": 1}
    assert why_nothing_opened(Counts(**asked, autotuned=1, beyond_cpu=1)) is None
    assert why_nothing_opened(Counts(consulted=1)) is None
    said = {
        "none with max-autotune": Counts(**asked),
        "names no TRITON": Counts(graphs=1, autotuned=1, beyond_cpu=1, without_triton=1),
        "all with inputs on the CPU": Counts(graphs=1, autotuned=1),
    }
    for sentence, counts in said.items():
        assert sentence in (why_nothing_opened(counts) or "")


@tells
def test_what_torch_kept_the_times_of_is_told_apart(tune: Tune) -> None:
    size = next(_sizes)
    with io.override(min_sms=0, **WITH_TWO) as scope:
        tune(size)
        tune(size)
        torch._dynamo.reset()  # begins torch's account of seconds anew
        tune()
    first, second, third = scope.report().tuned
    assert (first.seconds > 0, second.seconds, third.seconds > 0) == (True, 0, True)
    assert "for 1 torch had kept the times" in scope.report().line()


@tells
def test_a_scope_counts_its_own_and_the_process_counts_all(tune: Tune) -> None:
    before = io.report()
    with io.override(min_sms=0, **WITH_TWO) as outer:
        first = tune()
        with io.override(min_sms=1) as inner:
            second = tune()
    io.enable(min_sms=0)
    with config.patch(WITH_TWO):
        third = tune()
    io.disable()
    tune()
    assert (tuned_in(inner), tuned_in(outer)) == ([second], [first, second])
    after = io.report()
    assert [(t.op, t.sizes) for t in after.tuned[len(before.tuned) :]] == [first, second, third]
    assert after.graphs - before.graphs == 3


@tells
def test_what_another_thread_tunes_counts_where_the_scope_holds(
    tune: Tune, in_thread: InThread
) -> None:
    def elsewhere() -> Product:
        with config.patch(WITH_TWO):
            return tune()

    warns = pytest.warns(io.NoEffectWarning) if VALUES_PER_THREAD else nullcontext()
    with warns, io.override(min_sms=0) as scope:
        problem = in_thread(elsewhere)
    assert tuned_in(scope) == ([] if VALUES_PER_THREAD else [problem])
    assert io.report().tuned[-1].sizes == problem[1]


@tells
def test_who_else_listens_to_torch_goes_on_and_nothing_else_is_left(tune: Tune) -> None:
    from torch._inductor import select_algorithm

    heard = []

    def saver(*args: object) -> None:
        heard.append(args)

    select_algorithm.add_feedback_saver(saver)
    savers = select_algorithm._ALGORITHM_SELECTOR_CACHE.feedback_saver_fns
    try:
        with io.override(min_sms=0, **WITH_TWO) as scope:
            tune()
            assert len(savers) == 2
        assert savers == [saver]
        assert len(heard) == len(scope.report().tuned) == 1
    finally:
        savers.remove(saver)


@pytest.mark.skipif(not HAS_FX_CACHE, reason="torch keeps graphs on disk from 2.3 on")
def test_a_graph_from_a_cache_is_counted_as_one(compiled: Callable[..., Any]) -> None:
    for hits in (0, 1):
        torch._dynamo.reset()
        with io.override(min_sms=7, fx_graph_cache=True, max_fusion_size=61) as scope:
            compiled()
        assert (scope.report().graphs, scope.report().graphs_from_cache) == (1, hits)
    assert "; 1 graph from torch's caches; " in scope.report().line()


@pytest.mark.skipif(not HAS_FX_CACHE, reason="torch keeps graphs on disk from 2.3 on")
def test_a_late_backward_graph_from_a_cache_is_counted_as_one() -> None:
    size = next(_sizes)
    x, w = torch.randn(size, size), torch.randn(size, size, requires_grad=True)

    def product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    found = []
    # The cache of AOTAutograd would keep both graphs as one.
    has_cache = hasattr(functorch_config, "enable_autograd_cache")
    off = {"enable_autograd_cache": False} if has_cache else {}
    for _ in range(2):
        torch._dynamo.reset()
        with config.patch(fx_graph_cache=True), functorch_config.patch(off):
            with io.override(min_sms=0) as scope:
                out = torch.compile(product, dynamic=False)(x, w)
            out.sum().backward()
        found.append((scope.report().graphs, scope.report().graphs_from_cache))
    assert found == [(2, 0), (2, 2)]


def test_the_gate_is_counted(ask: Callable[[], bool]) -> None:
    with io.override(min_sms=0) as scope:
        ask()
        with io.override(min_sms=100):
            ask()
    assert scope.report().line().startswith("the gate was asked 2 times, and was open 1 time; ")


def test_where_torch_does_not_tell_the_report_says_so(compiled: Callable[..., Any]) -> None:
    with io.override(min_sms=0) as scope:
        compiled()
    said = "what was tuned is not known: torch tells from 2.6 on" in scope.report().line()
    assert said is not HAS_FEEDBACK


def test_one_line_in_the_log_for_who_wants_it(
    compiled: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with io.override(min_sms=0):
        compiled()
    assert "1 graph " not in caplog.text
    with caplog.at_level(logging.INFO, "inductor_override"):
        with io.override(min_sms=3):
            compiled()
        with pytest.warns(io.NoEffectWarning), io.override(min_sms=4):
            pass
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    (line,) = [each for each in lines if "1 graph " in each]  # compiled, or from a cache
    assert line.startswith("inductor-override: override(min_sms=3): the gate was not asked; ")


def an_operation(
    op: str = "mm",
    winner: str = TRITON,
    ms: float = 1.0,
    library: float = 1.5,
    failed: int = 3,
    seconds: float = 2.0,
) -> Tuned:
    timed = Timed("<mm>" if winner == LIBRARY else "triton_mm_4", winner, ms)
    return Tuned(
        op,
        ("64x32", "32x16"),
        "float16",
        (timed, Timed("mm", LIBRARY, library)),
        20,
        failed,
        Timed("mm", LIBRARY, library),
        seconds,
    )


def a_report(*tuned: Tuned) -> io.TuningReport:
    counts = Counts(consulted=2, passed=2, graphs=1)
    counts.tuned += tuned
    return io.TuningReport.of(counts)


def test_the_line_and_the_table_say_who_won_by_how_much_and_at_which_price() -> None:
    mm = an_operation()
    lost = an_operation("addmm", LIBRARY, 1.5, failed=0)
    report = replace(a_report(mm, replace(mm, seconds=0.0), lost), told=True)
    assert report.line() == (
        "the gate was asked 2 times, and was open 2 times; 1 graph compiled; 3 operations tuned in "
        "4.0 s; a Triton template won 2 (1.50 times as fast as the library); the library won 1; "
        "for 1 torch had kept the times; 6 of 60 candidates could not run"
    )
    table = str(report)
    (row,) = [line.split() for line in table.splitlines() if "triton_mm_4" in line]
    assert " ".join(row) == "mm 64x32, 32x16 float16 2 triton_mm_4 1.50 mm 20 3 2.0"
    assert "without an interval" in table
    assert len(repr(report).splitlines()) == 1
    assert "&lt;mm&gt;" in report._repr_html_()


def test_one_problem_with_two_winners_has_two_rows() -> None:
    report = replace(a_report(an_operation(), an_operation(winner=LIBRARY, ms=1.5)), told=True)
    rows = [line for line in str(report).splitlines() if "64x32, 32x16" in line]
    assert len(rows) == 2


def test_graphs_that_were_compiled_are_told_from_those_of_caches() -> None:
    report = replace(a_report(), graphs=3, graphs_from_cache=1)
    assert "; 2 graphs compiled, 1 graph from torch's caches; " in report.line()


def test_the_report_says_why_nothing_could_gain(tune: Tune) -> None:
    with io.override(min_sms=0, max_autotune=True) as scope:
        tune()
    assert scope.report().cause == "all with inputs on the CPU, but the gate is asked for GPUs only"
    assert "The graphs: all with inputs on the CPU" in str(scope.report())
    assert "The graphs: all with inputs on the CPU" in scope.report()._repr_html_()


def test_an_operation_of_which_no_candidate_could_run() -> None:
    none = Tuned("mm", ("2x2", "2x2"), "float16", (), 4, 4, None, 1.0)
    report = replace(a_report(none), told=True)
    assert report.line().endswith("1 operation tuned in 1.0 s; 4 of 4 candidates could not run")
    assert "none could run" in str(report)


PROGRAM = """
import os, sys
import torch
import torch._inductor.config as config

def another_mm(a, b, *, out):
    return torch.mm(a, b, out=out)

if "compiles" in sys.argv:
    if "external_matmul" in config._config:
        config.external_matmul = [another_mm]
    torch.compile(lambda x: x @ x)(torch.randn(8, 8))
if "forks" in sys.argv:
    if os.fork() == 0:
        sys.exit()
    os.wait()
"""


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(
        *options: str, argv: tuple[str, ...] = ("compiles",)
    ) -> subprocess.CompletedProcess[str]:
        fresh = {
            **os.environ,
            "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
        }
        return subprocess.run(
            [*RUN, "--max-autotune", *options, sys.executable, str(program), *argv],
            capture_output=True,
            text=True,
            env=fresh,
            check=False,
        )

    return run


@pytest.mark.slow
def test_run_reports_each_process_in_a_file(run_program: RunProgram, tmp_path: Path) -> None:
    file = tmp_path / "tuned.jsonl"
    file.write_text("of a run before\n")
    done = run_program("--report", str(file), "--", argv=("compiles", "forks"))
    assert done.returncode == 0, done.stderr
    (line,) = file.read_text().splitlines()
    found = json.loads(line)
    assert (found["schema"], found["graphs"], found["told"]) == (1, 1, HAS_FEEDBACK)
    assert found["command"][1:] == ["compiles", "forks"]
    assert [each["op"] for each in found["tuned"]] == ["mm"] * HAS_FEEDBACK


def test_run_reports_on_standard_error_also_that_nothing_was_compiled(
    run_program: RunProgram,
) -> None:
    said = run_program("--report", "--", argv=()).stderr
    assert "inductor-override: report of process" in said
    assert "the gate was not asked; 0 graphs compiled" in said


def test_a_file_that_is_gone_at_the_end_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INDUCTOR_OVERRIDE_REPORT", str(tmp_path / "gone" / "tuned.jsonl"))
    hand_in(a_report(), gate_owner=None, always=True)
    assert "no report in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("python", "allowed: a file that ends in .jsonl, or nothing between --report and --"),
        ("no/such/folder/tuned.jsonl", "cannot be written: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_meant(run_program: RunProgram, given: str, said: str) -> None:
    done = run_program("--report", given, "--")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
