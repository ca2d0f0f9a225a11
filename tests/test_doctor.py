"""`doctor`: each rule speaks where its case is, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from inductor_override.cli import main
from inductor_override.diagnosis import Asked, Device, Examined, Machine, advise
from inductor_override.diagnosis.machine import _edited

SMALL = Device("RTX 3060", 28, (8, 6), 101_376, False, here=True)
LARGE = Device("A100", 108, (8, 0), 166_912, True, here=True)
OLD = Device("Tesla T4", 40, (7, 5), 65_536, False, here=True)
ROCM = Device("MI210", 104, None, None, None, here=True)
FINE = Machine(
    torch="2.13.0",
    release=(2, 13),
    triton="3.7.1",
    verdict="off",
    live=False,
    min_sms=None,
    patch_module="torch_2_13",
    unsupported=None,
    stock_min_sms=68,
    devices=(LARGE,),
    options={
        "max_autotune": False,
        "max_autotune_gemm": False,
        "max_autotune_gemm_backends": "ATEN,TRITON,CPP",
        "max_autotune_conv_backends": "ATEN,TRITON",
        "max_autotune_prune_choices_based_on_shared_mem": False,
        "deterministic": False,
        "precompilation_timeout_seconds": 300,
        "autotune_in_subproc": True,
    },
    precision="high",
)
NO_MODE = Asked()


def codes(machine: Machine = FINE, asked: Asked = NO_MODE) -> list[str]:
    return [each.code for each in advise(machine, asked)]


def with_option(name: str, value: object) -> Machine:
    return replace(FINE, options={**FINE.options, name: value})


REFUSED = ["gpu-refused", "oversize-candidates"]
LIVE = replace(FINE, live=True, min_sms=0)
VARIABLE = {"TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS": "0"}


def test_a_machine_on_which_nothing_is_to_be_done() -> None:
    assert codes() == []
    assert codes(replace(FINE, devices=())) == []
    assert codes(replace(FINE, devices=(ROCM,))) == []


@pytest.mark.parametrize(
    ("machine", "asked", "expected"),
    [
        (replace(FINE, devices=(SMALL,)), NO_MODE, REFUSED),
        (replace(LIVE, devices=(SMALL,)), NO_MODE, ["oversize-candidates"]),
        (
            replace(LIVE, min_sms=30, devices=(SMALL,)),
            NO_MODE,
            REFUSED,
        ),
        (replace(FINE, devices=(SMALL,), release=(2, 10)), NO_MODE, ["gpu-refused"]),
        (replace(FINE, devices=(OLD,)), NO_MODE, ["no-tensor-cores"]),
        (
            replace(FINE, devices=(OLD,), triton="3.2.0"),
            NO_MODE,
            REFUSED,
        ),
        (with_option("deterministic", True), NO_MODE, ["deterministic"]),
        (with_option("max_autotune_gemm_backends", "ATEN"), NO_MODE, ["no-triton-backend-gemm"]),
        (with_option("max_autotune_conv_backends", "ATEN"), NO_MODE, ["no-triton-backend-conv"]),
        (FINE, Asked(mode="reduce-overhead"), ["mode-tunes-nothing"]),
        (FINE, Asked(mode="max-autotune-no-cudagraphs"), []),
        (replace(LIVE, environment=VARIABLE), NO_MODE, ["threshold-alone"]),
        (replace(LIVE, environment=VARIABLE), Asked(mode="max-autotune"), []),
        (replace(FINE, precision="highest"), Asked(dtype="float32"), ["float32-without-tf32"]),
        (replace(FINE, precision="highest"), Asked(dtype="float16"), []),
        (FINE, Asked(shapes=((7, 64, 128),)), []),
        (FINE, Asked(shapes=((7, 60, 128),)), ["sizes-not-aligned"]),
        (FINE, Asked(shapes=((7, 60, 128),), dtype="float32"), []),
        (
            with_option("max_autotune_gemm_search_space", "EXHAUSTIVE"),
            NO_MODE,
            ["precompilation-timeout"],
        ),
        (with_option("autotune_in_subproc", False), NO_MODE, []),
        (
            replace(
                FINE,
                options={
                    "max_autotune_gemm_search_space": "EXHAUSTIVE",
                    "autotune_in_subproc": False,
                },
            ),
            NO_MODE,
            ["tuning-in-this-process"],
        ),
        (replace(FINE, has_driver=True), NO_MODE, ["torch-without-gpu"]),
        (
            replace(FINE, environment={"INDUCTOR_OVERRIDE_DISABLE": "1"}),
            NO_MODE,
            ["switched-off"],
        ),
        (replace(FINE, gate_owner="unsloth.is_big_gpu"), NO_MODE, ["someone-at-the-gate"]),
        (replace(FINE, edited="utils.py"), NO_MODE, ["torch-was-edited"]),
        (replace(FINE, problem="bad"), NO_MODE, ["problem"]),
        (replace(LIVE, packages={"vllm": "0.11"}), NO_MODE, ["vllm-cache"]),
        (replace(FINE, packages={"vllm": "0.11"}), NO_MODE, []),
    ],
)
def test_each_rule_speaks_where_its_case_is(
    machine: Machine, asked: Asked, expected: list[str]
) -> None:
    assert codes(machine, asked) == expected


def test_each_advice_says_what_why_what_to_do_and_from_where() -> None:
    everything = replace(
        with_option("deterministic", True),
        devices=(SMALL, OLD),
        has_driver=True,
        gate_owner="someone.gate",
        edited="utils.py",
        precision="highest",
    )
    for each in advise(everything, Asked("default", "float32", ((1, 3, 5),))):
        assert all(each.to_dict().values()), each


def test_a_file_of_torchs_that_was_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "torch" / "_inductor" / "utils.py"
    file.parent.mkdir(parents=True)
    file.write_text("as installed\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"as installed\n").digest()).decode()
    info = tmp_path / "torch-9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: torch\nVersion: 9.0\n")
    (info / "RECORD").write_text(f"torch/_inductor/utils.py,sha256={digest.rstrip('=')},13\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _edited(str(file)) is None
    file.write_text("edited\n")
    assert _edited(str(file)) == str(file)


@pytest.mark.parametrize("how", ["without metadata", "from elsewhere", "with a list of no files"])
def test_where_torch_cannot_be_compared_with_what_was_installed_nothing_is_said(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "without metadata":
        monkeypatch.setattr(sys, "path", [])
    if how == "with a list of no files":
        info = tmp_path / "torch-9.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: torch\nVersion: 9.0\n")
        monkeypatch.syspath_prepend(str(tmp_path))
    assert _edited(str(tmp_path / "utils.py")) is None


def properties(name: str, sms: int, capability: tuple[int, int], **more: int) -> SimpleNamespace:
    major, minor = capability
    return SimpleNamespace(name=name, multi_processor_count=sms, major=major, minor=minor, **more)


@pytest.mark.parametrize(
    ("hip", "said", "shared", "codes"),
    [
        (
            None,
            [
                "RTX 3060: 28 SMs, capability 8.6, torch refuses it (under 68 SMs)",
                "A100: 108 SMs, capability 8.0, torch lets it through",
            ],
            [101_376, 163_840],
            ["gpu-refused", "oversize-candidates"],
        ),
        (
            "6.4",
            [
                "RTX 3060: 28 SMs, torch goes by its architecture",
                "A100: 108 SMs, torch goes by its architecture",
            ],
            [None, 163_840],
            [],
        ),
    ],
)
def test_the_gpus_that_are_here(
    hip: str | None,
    said: list[str],
    shared: list[int | None],
    codes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where torch does not tell the shared memory, before 2.5, the catalogue does."""
    here = [
        properties("RTX 3060", 28, (8, 6)),
        properties("A100", 108, (8, 0), shared_memory_per_block_optin=163_840),
    ]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(here))
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda number=0: here[number])
    monkeypatch.setattr("torch.version.hip", hip)
    shown = CliRunner().invoke(main, ["doctor"])
    assert [line for line in shown.stdout.splitlines() if " SMs, " in line][:2] == said
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert [each["shared_memory"] for each in found["machine"]["devices"]] == shared
    assert [each["code"] for each in found["advice"]] == codes


def doctor(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, after `code`."""
    program = f"{code}\nfrom inductor_override.cli import main\nmain({list(arguments)!r})"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.slow
def test_a_named_gpu_and_the_exit_status() -> None:
    done = doctor("doctor", "--gpu", "RTX 3060", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["schema"] == 1
    assert found["machine"]["devices"][0]["passes"] is False
    assert "environment" not in found["machine"]
    (refused,) = [each for each in found["advice"] if each["code"] == "gpu-refused"]
    assert 'explain --gpu "NVIDIA GeForce RTX 3060"' in refused["do"]


@pytest.mark.slow
def test_a_snippet_at_the_gate_is_named_and_the_variable_is_told_to_be_on() -> None:
    snippet = "import torch._inductor.utils as u\ndef mine(*a): return True\nu.is_big_gpu = mine"
    done = doctor("doctor", code=snippet, **VARIABLE)
    assert done.returncode == 1, done.stderr
    assert "override: on: every GPU passes" in done.stdout
    assert "__main__.mine stands in the place of torch's is_big_gpu" in done.stdout
    assert "code: threshold-alone" in done.stdout


@pytest.mark.slow
def test_nothing_to_do() -> None:
    done = doctor("doctor")
    assert (done.returncode, "Nothing to do." in done.stdout) == (0, True), done.stdout


@pytest.mark.slow
def test_a_torch_that_is_not_supported_ends_with_3() -> None:
    done = doctor("doctor", code="import torch._inductor.utils as u\ndel u.is_big_gpu")
    assert done.returncode == 3
    assert "error: torch" in done.stderr
    assert "Traceback" not in done.stderr


PROGRAM = """
import sys
import torch
import inductor_override as io
print("from the program")
if "override" in sys.argv:
    with io.override(min_sms=0):
        torch.compile(lambda x: x @ x)(torch.randn(8, 8))
if "tuned" in sys.argv:
    io.enable(min_sms=0)
    torch.compile(lambda x: x @ x, mode="max-autotune")(torch.randn(8, 8))
if "fail" in sys.argv:
    sys.exit(7)
if "wait" in sys.argv:
    print("waiting", file=sys.stderr, flush=True)
    import time
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "codes", "said"),
    [
        ("override", ["gate-not-asked"], "none with max-autotune, so nothing was tuned"),
        ("tuned", ["gate-not-asked"], "all with inputs on the CPU"),
        ("plain", ["not-on"], "0 graphs compiled"),
        ("fail", ["program-failed"], "program.py fail ended with 7"),
    ],
)
def test_a_program_is_run_as_it_is_and_told_of(
    tmp_path: Path, argument: str, codes: list[str], said: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = doctor("doctor", "--json", "--", sys.executable, str(program), argument)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [each["code"] for each in found["advice"]] == codes
    assert said in done.stdout
    assert "from the program" in done.stderr
    assert list(tmp_path.iterdir()) == [program]


def test_a_program_whose_graphs_all_came_from_torchs_caches() -> None:
    report = {"graphs": 2, "graphs_from_cache": 2, "asked": 0, "cause": None}
    (advice,) = Examined(("python", "train.py"), 0, (report,)).advice()
    assert advice.code == "gate-not-asked"
    assert advice.why.startswith("torch had all graphs in its caches")
    assert "TORCHINDUCTOR_CACHE_DIR" in advice.do
    one_compiled = {**report, "graphs_from_cache": 1}
    (advice,) = Examined(("python", "train.py"), 0, (report, one_compiled)).advice()
    assert advice.why == "No product or convolution that Inductor would tune is in them."
    assert advice.do == ""


@pytest.mark.slow
def test_ctrl_c_ends_the_program_and_doctor_tells_of_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "inductor_override", "doctor", "--json", "--"]
    process = subprocess.Popen(
        [*command, sys.executable, str(program), "override", "wait"],
        start_new_session=True,  # in a terminal Ctrl-C reaches the whole group
        # A job in the background of a script ignores it, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "waiting" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    output, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    found = json.loads(output)
    [report] = found["examined"]["processes"]
    assert report["graphs"] == 1
    assert found["advice"][0]["code"] == "program-failed"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["alone", "under a scope"])
def test_a_pasted_line_in_the_program_is_named(tmp_path: Path, how: str) -> None:
    program = tmp_path / "program.py"
    pasted = "import torch._inductor.utils as utils; utils.is_big_gpu = lambda *args: True\n"
    scope = "import inductor_override as io; io.enable(min_sms=0)\n"
    program.write_text(pasted + scope * (how == "under a scope"))
    done = doctor("doctor", "--json", "--", sys.executable, str(program))
    advice = {each["code"]: each for each in json.loads(done.stdout)["advice"]}
    assert "__main__.<lambda> stands in" in advice["someone-at-the-gate"]["says"]
    assert "at the program's end" in advice["someone-at-the-gate"]["source"]


@pytest.mark.slow
def test_a_program_without_the_override_has_no_count_of_graphs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import torch; torch.compile(lambda x: x @ x)(torch.ones(3, 3))\n")
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = doctor("doctor", "--", sys.executable, str(program), **cache)
    said = " ".join(done.stdout.split())
    assert "override in doctor's own process: off: torch decides" in said
    assert f"({program}): no graph was compiled under the override" in said


@pytest.mark.slow
def test_a_report_for_people(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = doctor("doctor", "--", sys.executable, str(program), "override", **cache)
    assert done.returncode == 1
    assert "from the program" in done.stdout
    assert "override): the gate was not asked; 1 graph compiled" in " ".join(done.stdout.split())
    assert "code: gate-not-asked" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu", "RTX 3000000"], "--gpu"),
        (["--mode", "max-auto"], "max-autotune"),
        (["--shape", "3x4"], "MxKxN"),
        (["--", "no-such-program-anywhere"], "command not found: no-such-program-anywhere"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["doctor", *arguments])
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output
