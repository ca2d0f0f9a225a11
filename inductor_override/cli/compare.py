"""`inductor-override compare`: is it worth it on this machine?"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from inductor_override.cli import console, parameters
from inductor_override.cli.errors import CannotError, in_words_of_a_file
from inductor_override.cli.waiting import ended_by_signals, progress_of_processes
from inductor_override.cli.workload import Asked, answer_options, workload_options
from inductor_override.comparison.arms import DEFAULT_ARMS, Arm
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.question import Question, suite, suites
from inductor_override.comparison.result import DONE, NOTHING_IN_FORCE, OUT_OF_BUDGET, Result, read
from inductor_override.comparison.schedule import ROUND
from inductor_override.comparison.sentences import FAILED, FASTER, SLOWER, WRONG
from inductor_override.comparison.verdict import judge
from inductor_override.workload.errors import WorkloadError

_FAILED, _WRONG, _NOT_IN_FORCE, _FAIL_IF = 4, 5, 6, 7


def _arms(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[Arm]:
    with _said_in_one_line():
        return [Arm.parse(each) for each in value or DEFAULT_ARMS]


@click.command()
@workload_options
@click.option(
    "--suite", metavar="NAME", help=f"Instead of a model, products of one: {', '.join(suites())}."
)
@click.option(
    "--command",
    metavar="'COMMAND ...'",
    help="Instead of a model, a program that is run as it is, with caches of its own each time.",
)
@click.option(
    "--metric",
    metavar="REGEX",
    help=r"What a command prints, with one group, such as 'tokens/s: ([\d.]+)'.  [default: the "
    "seconds it takes]",
)
@click.option("--higher-is-better", is_flag=True, help="Of the figure that --metric finds.")
@click.option(
    "--arm",
    "arms",
    callback=_arms,
    multiple=True,
    metavar="SETTINGS",
    help="stock, or with commas between them: min_sms=N, mode=..., precision=..., any Inductor "
    "option. The first is what the others are compared with. Repeatable.  [default: stock, "
    "min_sms=0]",
)
@click.option("--layers", is_flag=True, help="The model's distinct matrix products, too.")
@click.option("--device", type=click.Choice(("cuda", "cpu")), default="cuda", show_default=True)
@click.option("--cudagraphs", is_flag=True, help="As mode='max-autotune' deploys a model.")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Processes for each arm.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.05, 600),
    default=1.0,
    show_default=True,
    metavar="N",
    help="For how long each process times calls.",
)
@click.option(
    "--min-effect",
    callback=parameters.effect,
    default="1%",
    show_default=True,
    metavar="PERCENT",
    help="The smallest difference of interest.",
)
@click.option(
    "--budget", callback=parameters.budget, metavar="TIME", help="Stop after 90s, 10m or 2h."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the result is kept, written anew after each process.",
)
@click.option("--resume", is_flag=True, help="Go on with what such a file lacks.")
@click.option(
    "--from",
    "from_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Measure nothing: print what a file says.",
)
@click.option(
    "--against",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --from: compare its arms with those of this older file.",
)
@answer_options
@click.option(
    "--fail-if",
    type=click.Choice(("slower", "not-faster")),
    help=f"Exit with {_FAIL_IF} if an arm is.",
)
def compare(
    asked: Asked,
    rounds: int,
    min_effect: float,
    budget: float | None,
    output: Path | None,
    resume: bool,
    from_file: Path | None,
    against: Path | None,
    as_json: bool,
    html_file: Path | None,
    fail_if: str | None,
    arms: list[Arm],
    **how: Any,
) -> None:
    """Is it worth it on this machine? Each arm in processes of its own, and a verdict.

    Every process has caches of its own and tunes anew. Exit status: 0 measured, 2 it cannot be
    compared, 4 an arm failed or it was interrupted, 5 wrong results, 6 no arm changes anything,
    7 --fail-if.
    """
    for file, option in ((output, "--output"), (html_file, "--html")):
        if file is not None and not file.parent.is_dir():
            raise CannotError(f"{option} {str(file)!r}: there is no folder {file.parent}")
    if against is not None and from_file is None:
        raise CannotError("--against is for --from FILE: it compares two files")
    with _said_in_one_line(), ended_by_signals():
        if from_file is not None:
            result = read(from_file)
            if _was_given("min_effect"):
                result.min_effect = min_effect
        else:
            result = Result(_question(asked, how), arms, rounds, min_effect)
            result.command_line = shlex.join(["inductor-override", *sys.argv[1:]])
            result = _measured(result, output, resume, budget)
        older = read(against) if against is not None else None
        with in_words_of_a_file(from_file):
            verdicts = _show(result, older, as_json, html_file)
            _exit(result, verdicts, fail_if)


def _was_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _question(asked: Asked, how: dict[str, Any]) -> Question:
    name, command = how.pop("suite"), how["command"]
    given = {"--module": asked.module, "--shape": asked.shapes, "--suite": name}
    chosen = [option for option, value in {**given, "--command": command}.items() if value]
    if len(chosen) > 1:
        raise CannotError(f"{' and '.join(chosen)} exclude each other")
    if how["layers"] and asked.module is None:
        raise CannotError("--layers is for a model: give --module too")
    if (how["metric"] or how["higher_is_better"]) and command is None:
        raise CannotError("--metric and --higher-is-better are for --command")
    if how["higher_is_better"] and how["metric"] is None:
        raise CannotError("--higher-is-better is for --metric: of seconds fewer are better")
    of_products = ("op", "epilogue", "batch")
    refused: dict[str, tuple[str, ...]] = {
        "--suite": of_products,
        "--module": of_products,
        "--command": (*of_products, "dtype", "device", "cudagraphs", "seconds"),
    }
    for other in (other for option in chosen for other in refused.get(option, ())):
        if _was_given(other):
            raise CannotError(f"--{other} has no effect with {chosen[0]}: leave it out")
    problems = suite(name, asked.dtype or "float16") if name else tuple(asked.problems)
    own = asked.module is not None or command is not None
    return Question(
        module=asked.module,
        inputs=asked.inputs,
        problems=() if own else problems,
        dtype=asked.model_dtype,
        train=asked.train,
        **how,
    )


def _measured(result: Result, output: Path | None, resume: bool, budget: float | None) -> Result:
    from inductor_override.comparison import Comparison
    from inductor_override.comparison.rounds import carry_out, check_arms

    result.arms = check_arms(result.question, result.arms)
    kept = output or _kept(result)
    if resume:
        older = read(kept)
        if (older.question, older.arms) != (result.question, result.arms):
            raise ComparisonError(
                f"{kept} has the answer to another question: --resume needs its own"
            )
        older.rounds, older.min_effect = result.rounds, result.min_effect
        older.looks += 1
        result = older

    def keep(now: Result) -> None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            Comparison(now).write(kept)
        except OSError as error:
            raise CannotError(f"{kept} cannot be written: {error.strerror}") from None

    with progress_of_processes() as progress:
        result = carry_out(
            result,
            keep,
            budget=budget,
            progress=progress,
            notice=console.say,
        )
    click.echo(f"kept in {kept}", err=True)
    return result


def _kept(result: Result) -> Path:
    """Where a result is kept that the user gave no file for, by its question, arms and folder."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache")
    name = result.question.digest(os.getcwd(), [str(arm) for arm in result.arms])
    return Path(base, "inductor-override", "comparisons", f"{name}.json")


def _show(result: Result, older: Result | None, as_json: bool, html_file: Path | None) -> list[str]:
    """Print it; return the verdicts."""
    from inductor_override.comparison import Comparison
    from inductor_override.comparison.between import between, show_between
    from inductor_override.comparison.text import show

    comparison = Comparison(result)
    if html_file is not None:
        try:
            comparison.write_page(html_file)
        except OSError as error:
            raise CannotError(f"--html {str(html_file)!r}: {error.strerror}") from None
        click.echo(f"written: {html_file}", err=True)
    if older is not None:
        found = between(older, result)
        if as_json:
            click.echo(json.dumps(found, indent=2))
        else:
            show_between(found, console.stdout())
        return [each["verdict"] for each in found["arms"]]
    if as_json:
        click.echo(json.dumps(comparison.to_dict(), indent=2))
    else:
        show(result, console.stdout())
    return [each.verdict for each in judge(result)]


def _exit(result: Result, verdicts: list[str], fail_if: str | None) -> NoReturn:
    if WRONG in verdicts:
        sys.exit(_WRONG)
    if result.ended == NOTHING_IN_FORCE:
        sys.exit(_NOT_IN_FORCE)
    stopped = result.ended not in (DONE, OUT_OF_BUDGET) or not result.runs_of(ROUND, 0)
    if stopped or FAILED in verdicts or result.failures():
        sys.exit(_FAILED)
    slower, faster = SLOWER in verdicts, all(each == FASTER for each in verdicts)
    failed = (fail_if == "slower" and slower) or (fail_if == "not-faster" and not faster)
    sys.exit(_FAIL_IF if failed else 0)


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except (ComparisonError, WorkloadError) as error:
        detail = f"\n{error.detail}" if error.detail else ""
        raise CannotError(f"{error}{detail}") from None
