"""`compare` as its user sees it, with commands: real processes, files, exit codes; no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import InThread

from inductor_override.child_process import process
from inductor_override.cli import main
from inductor_override.comparison import ComparisonError, compare
from inductor_override.comparison.arms import Arm
from inductor_override.comparison.question import Question, suite, suites
from inductor_override.comparison.result import read
from inductor_override.comparison.schedule import NOISE, ROUND, steps
from inductor_override.workload.problem import Problem

# Under the override a fifth slower, and a little noise that is the same in no two processes.
SCRIPT = """
import os, random
slow = 1.2 if os.environ.get("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS") else 1.0
print("warming up: 3 tokens/s")
print(f"tokens/s: {1000 / slow * random.uniform(0.995, 1.005):,.3f}")
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bench.py").write_text(SCRIPT)
    return [
        *("compare", "--command", f"{sys.executable} {tmp_path / 'bench.py'}"),
        *("--metric", r"tokens/s: ([\d.,]+)", "--higher-is-better"),
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_slower_arm_is_called_slower(command: list[str], tmp_path: Path) -> None:
    done = run(*command, "--rounds", "6", "--json", "--html", str(tmp_path / "page.html"))
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    (arm,) = facts["arms"]
    assert (facts["schema"], arm["name"], arm["verdict"]) == (1, "min_sms=0", "SLOWER")
    assert arm["reasons"][0] == "interval-above-1"
    assert 1.17 < arm["ratio"]["low"] < arm["ratio"]["high"] < 1.23
    assert facts["noise_floor"]["spread"] < 0.02
    assert [len(each) for each in arm["samples"]] == [1] * 6
    assert "Noise of this machine: two processes of stock differ by" in done.stderr
    assert facts["command_line"].startswith("inductor-override")
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")


def test_the_first_arm_against_itself_is_never_called_different(command: list[str]) -> None:
    done = run(*command, "--rounds", "6", "--arm", "stock", "--arm", "stock")
    assert done.exit_code == 0, done.output
    assert "SAME" in done.stdout
    assert "FASTER" not in done.stdout
    assert "SLOWER" not in done.stdout


def test_fail_if_is_for_ci(command: list[str]) -> None:
    quick = (*command, "--rounds", "6")
    assert run(*quick, "--fail-if", "slower").exit_code == 7
    assert run(*quick, "--arm", "stock", "--arm", "stock", "--fail-if", "slower").exit_code == 0


def test_too_few_rounds_are_said_and_nothing_is_claimed(command: list[str]) -> None:
    done = run(*command, "--rounds", "5")
    assert done.exit_code == 0, done.output
    assert "5 rounds can never show a difference at 95 %; --rounds 6 is the least" in done.stderr
    said = done.stdout.replace("\n", " ")
    assert "Fewer than 6 rounds can never show a difference at 95 %" in said
    assert "UNDECIDED" in done.stdout


@pytest.mark.slow
def test_a_budget_stops_with_what_there_is_and_resume_goes_on(
    command: list[str], tmp_path: Path
) -> None:
    kept = str(tmp_path / "result.json")
    # Long enough that a busy machine begins the rounds, and that none ends them, in the budget.
    (tmp_path / "bench.py").write_text(f"import time\ntime.sleep(0.2)\n{SCRIPT}")
    done = run(*command, "--rounds", "9", "--budget", "4s", "--output", kept)
    assert done.exit_code == 0, done.output
    assert "budget was used up" in done.stdout
    before = read(tmp_path / "result.json")
    assert 6 < len(before.runs) < 24, "3 pairs of noise, and some of 9 rounds"
    done = run(*command, "--rounds", "6", "--output", kept, "--resume")
    assert done.exit_code == 0, done.output
    after = read(tmp_path / "result.json")
    full = before.runs[:-1]  # the last may be half of a round, which is measured anew
    assert [r.figure for r in after.runs[: len(full)]] == [r.figure for r in full]
    assert len(after.runs_of(ROUND, 1)) >= 6


def test_a_round_that_lost_its_second_half_is_measured_anew(
    command: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    assert run(*command, "--rounds", "3", "--output", str(file)).exit_code == 0
    facts = json.loads(file.read_text())
    first, second = (
        next(r for r in facts["runs"] if r["step"] == {**r["step"], **step})
        for step in ({"phase": "round", "round": 1, "arm": n} for n in (0, 1))
    )
    facts["runs"].remove(second)
    file.write_text(json.dumps(facts))
    done = run(*command, "--rounds", "3", "--output", str(file), "--resume")
    assert done.exit_code == 0, done.output
    now = {r.step.round: r.figure for r in read(file).runs_of(ROUND, 0)}
    assert now[1] != first["figure"]
    assert len(now) == len(read(file).runs_of(ROUND, 1)) == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": []}, "has the answer to another question: --resume needs its own"),
        ({"environment": {"device": "old"}}, "--resume: device is not what it was when the "),
        ({"environment": {"built": [1]}}, "--resume: the model is not what it was when the "),
    ],
)
def test_resume_goes_on_with_the_same_alone(
    command: list[str], tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    file = tmp_path / "result.json"
    assert run(*command, "--rounds", "1", "--output", str(file)).exit_code == 0
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    before = file.read_text()
    done = run(*command, "--rounds", "1", "--output", str(file), "--resume")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert file.read_text() == before


def test_a_command_finds_what_the_users_own_pythonpath_has(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "users_own.py").write_text("speed = 8")
    (tmp_path / "bench.py").write_text("import users_own\nprint('tokens/s:', users_own.speed)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    done = run(*command, "--rounds", "1", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["first"]["samples"] == [[8]]


def test_a_page_that_cannot_be_written_does_not_take_the_result_with_it(
    command: list[str], tmp_path: Path
) -> None:
    file, page = tmp_path / "result.json", "x" * 300
    done = run(*command, "--rounds", "1", "--output", str(file), "--html", page)
    assert done.exit_code == 2, done.output
    assert f"error: --html '{page}': File name too long" in done.stderr
    assert read(file).ended == "done"


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_what_there_is_and_leaves_no_process(
    command: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    kept, pid = tmp_path / "result.json", tmp_path / "pid"
    script = tmp_path / "bench.py"
    # The third process would go on for a minute.
    script.write_text(
        f"import os, time\npid = {str(pid)!r}\nprint(os.getpid(), file=open(pid, 'a'))\n"
        f"time.sleep(60 if len(open(pid).readlines()) > 2 else 0)\n{SCRIPT}"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "inductor_override", *command, "--output", str(kept)],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores the signal, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert child.stderr is not None
    while not pid.exists() or len(pid.read_text().split()) < 3:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(number)
    said = child.communicate(timeout=30)[1]
    assert child.returncode == 4
    assert "Traceback" not in said
    assert str(kept) in said
    found = read(kept)
    assert found.ended == "interrupted"
    assert len(found.runs) >= 2
    started = pid.read_text().split()
    assert len(started) >= 2
    for each in started:
        with pytest.raises(ProcessLookupError):
            os.kill(int(each), 0)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
def test_an_interrupt_that_comes_while_a_process_is_started_ends_that_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    def interrupted(*arguments: Any, **how: Any) -> subprocess.Popen[str]:
        os.kill(os.getpid(), signal.SIGINT)
        started.append(popen(*arguments, **how))
        return started[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    # A shell's background job ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), process(["sleep", "60"]):
            pytest.fail("the interrupt came later than it must")
    finally:
        signal.signal(signal.SIGINT, before)
    assert [each.returncode for each in started] == [-signal.SIGKILL]


def test_a_process_can_be_started_in_any_thread(in_thread: InThread) -> None:
    def said() -> str:
        with process([sys.executable, "-S", "-c", "print(3)"], stdout=subprocess.PIPE) as child:
            return child.communicate()[0]

    assert in_thread(said) == "3\n"


def test_two_files_are_compared_or_refused(command: list[str], tmp_path: Path) -> None:
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    for file in (old, new):
        assert run(*command, "--rounds", "3", "--output", file).exit_code == 0
    done = run("compare", "--from", new, "--against", old, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert [each["arm"] for each in facts["arms"]] == ["stock", "min_sms=0"]
    assert all(0.97 < each["ratio"]["value"] < 1.03 for each in facts["arms"])
    assert run("compare", "--from", new).stdout == run("compare", "--from", new).stdout
    other = json.loads((tmp_path / "old.json").read_text())
    other["question"]["metric"] = "other: (.*)"
    (tmp_path / "other.json").write_text(json.dumps(other))
    done = run("compare", "--from", new, "--against", str(tmp_path / "other.json"))
    assert done.exit_code == 2
    assert "cannot be compared: metric is 'other: (.*)'" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--command", "python x", "--suite", "gpt2"], "--suite and --command exclude each other"),
        (["--suite", "llama-9b"], "--suite 'llama-9b' is not valid; allowed: llama-8b, "),
        (["--command", "python x", "--metric", "a("], "is not a valid regular expression"),
        (["--command", "python x", "--metric", "a"], "has 0 groups; allowed: one"),
        (["--command", "no-such-program"], "no-such-program cannot be started"),
        (["--command", ""], "--command '' is not valid"),
        (["--command", "'"], '--command "\'" is not valid'),
        (["--metric", "(a)"], "are for --command"),
        (["--command", "x", "--higher-is-better"], "--higher-is-better is for --metric"),
        (["--command", "x", "--arm", "stock"], "two arms or more"),
        (["--command", "x", "--arm", "stock", "--arm", "mode=default"], "are the command's own"),
        (["--command", "x", "--arm", "stock", "--arm", "a=1"], "write min_sms=0,a=1"),
        (["--arm", "fast"], "--arm 'fast' is not valid; allowed: stock, or NAME=VALUE"),
        (["--arm", "min_sms=many"], "min_sms must be a whole number"),
        (["--arm", "precision=best"], "precision must be one of highest, high, medium"),
        (["--rounds", "0"], "--rounds"),
        (["--budget", "soon"], "--budget 'soon' is not valid; allowed: such as 90s"),
        (["--min-effect", "0%"], "--min-effect '0%' is not valid"),
        (["--suite", "gpt2", "--op", "bmm"], "--op has no effect with --suite: leave it out"),
        (["--layers"], "--layers is for a model"),
        (["--train"], "--train is for a model"),
        (["--against", "x.json"], "--against is for --from"),
        (["--from", "x.json"], "x.json cannot be read: No such file"),
        (["--output", "nowhere/x.json"], "there is no folder nowhere"),
        (["--command", "true", "--output", "x" * 300], "cannot be written: File name too long"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = run("compare", *arguments)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.output
    assert said in lines[0]
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
    assert list(tmp_path.glob("inductor-override-*")) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a compare result"),
        ('{"kind": "inductor-override compare", "schema": 9}', "has schema 9; this version reads"),
        ('{"kind": "inductor-override compare", "schema": 1}', "is damaged"),
    ],
)
def test_a_file_that_is_none_of_ours_is_exit_2(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.json").write_text(content)
    done = run("compare", "--from", str(tmp_path / "x.json"))
    assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; print('no memory'); sys.exit(3)", "exit status 3"),
        ("print('tokens: none')", "no positive figure matches"),
        ("print('tokens/s: ...')", "no positive figure matches"),
        ("print('tokens/s: 0')", "no positive figure matches"),
    ],
)
def test_a_command_that_fails_is_exit_4_with_its_last_lines(
    command: list[str], tmp_path: Path, script: str, said: str
) -> None:
    (tmp_path / "bench.py").write_text(script)
    done = run(*command, "--rounds", "2")
    assert done.exit_code == 4, done.output
    assert said in done.stdout
    assert script.split("'")[1] in done.stdout


def test_arms_are_read_as_people_write_them() -> None:
    arm = Arm.parse("min_sms=0,max_autotune_gemm_backends=ATEN,TRITON,mode=max-autotune,x=None")
    assert (arm.min_sms, arm.mode) == (0, "max-autotune")
    assert arm.options == {"max_autotune_gemm_backends": "ATEN,TRITON", "x": None}
    assert Arm.parse("stock").same_as(Arm("other"))


def test_the_arms_take_turns_and_every_other_round_runs_backwards() -> None:
    plan = [s for s in steps(3, 2, compiles=False) if s.phase == ROUND]
    assert [s.arm for s in plan] == [0, 1, 2, 2, 1, 0]
    noise = [s.half for s in steps(2, 9, compiles=False) if s.phase == NOISE]
    assert noise == [0, 1, 1, 0, 0, 1]


def test_every_suite_says_where_its_sizes_are_from() -> None:
    for name, rows in suites().items():
        assert len(suite(name, "float16")) == len(rows) > 0
        assert all(row["origin"] for row in rows)


def test_what_another_process_cannot_import_is_refused() -> None:
    with pytest.raises(ComparisonError, match="no name under which another process"):
        compare(lambda: None)
    with pytest.raises(ComparisonError, match="compare one thing"):
        Question(module="a:b", problems=(Problem(1, 1, 1),))
