"""`inductor-override run`: real commands, real children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import inductor_override
from inductor_override.cli import main
from inductor_override.request.names import ENV_OPTION

RUN = [sys.executable, "-m", "inductor_override", "run"]
OPTION = "max_autotune_gemm_min_sms"
STARTUP = Path(inductor_override.__file__).parent / "install" / "startup" / "sitecustomize.py"

REPORT = """
import json, os, sys
import torch
import torch._inductor.config as config
import torch._inductor.utils
import inductor_override as io
def report(**more):
    return dict(value=config.max_autotune_gemm_min_sms, live=io.status().live,
                fusion=config.epilogue_fusion, argv=sys.argv[1:], path=sys.path, **more)
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(REPORT + "print(json.dumps(report()))\n")
    return path


@pytest.mark.slow
def test_it_is_in_force_in_the_command_and_its_children(tmp_path: Path) -> None:
    """A start-up file of the user's own runs; fork, spawn and a plain child process see it too."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['THEIRS'] = 'ran'\n")
    program = tmp_path / "program.py"
    program.write_text(
        REPORT
        + """
import multiprocessing, subprocess
def child():
    return config.max_autotune_gemm_min_sms, io.status().live
if __name__ == "__main__":
    seen = {"theirs": os.environ.get("THEIRS")}
    for how in ("fork", "spawn"):
        with multiprocessing.get_context(how).Pool(1) as pool:
            seen[how] = pool.apply(child)
    print(json.dumps(report(**seen)))
"""
    )
    done = run(
        *("--min-sms", "28", "--set", "epilogue_fusion=False", "--"),
        *(sys.executable, str(program), "--min-sms", "x", "--", "y"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["value"], seen["live"], seen["fusion"]) == (28, True, False)
    assert seen["argv"] == ["--min-sms", "x", "--", "y"]
    assert seen["theirs"] == "ran"
    assert seen["fork"] == seen["spawn"] == [28, True]
    assert not [path for path in seen["path"] if path.endswith("startup")]


@pytest.mark.slow
def test_torchrun_has_it_in_each_rank(tmp_path: Path) -> None:
    program = tmp_path / "rank.py"
    program.write_text(
        REPORT
        + """
import torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor([int(io.status().live) * config.max_autotune_gemm_min_sms])
dist.all_reduce(total)
if dist.get_rank() == 0:
    print(json.dumps([dist.get_world_size(), total.item()]))
dist.destroy_process_group()
"""
    )
    done = run(
        *("--min-sms", "28", "--", sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", "--nproc-per-node", "2", str(program)),
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads([x for x in done.stdout.splitlines() if x.startswith("[")][-1]) == [2, 56]


@pytest.mark.same_everywhere
def test_nothing_else_in_the_environment_changes() -> None:
    """torch, imported to check --set, sets TORCHINDUCTOR_CACHE_DIR in its own process."""
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    clean = {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"}
    done = subprocess.run(
        [*RUN, "--set", "epilogue_fusion=False", "--", sys.executable, "-c", show],
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    now = json.loads(done.stdout)
    ours = {ENV_OPTION, "INDUCTOR_OVERRIDE_SETTINGS", "PYTHONPATH"}
    changed = {k for k in {*now, *clean} if now.get(k) != clean.get(k)}
    assert changed - {"LC_CTYPE", "_"} <= ours


def test_the_exit_status_is_the_commands() -> None:
    assert run("--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_a_signal_that_ends_the_command_ends_run() -> None:
    """Also one that Python itself ignores: `run -- yes | head -1` has to end, and silently."""
    for name in ("KILL", "PIPE", "XFSZ"):
        done = run("--", "sh", "-c", f"kill -{name} $$; echo still there")
        assert (done.returncode, done.stdout) == (-getattr(signal, f"SIG{name}"), "")


@pytest.mark.same_everywhere
@pytest.mark.slow
def test_a_command_that_is_a_python_program_with_options_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        REPORT + "def test_it():\n    assert report()['value'] == 28 and io.status().live\n"
    )
    pytest_there = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = run("--min-sms", "28", "--", *pytest_there, str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert run("--", *pytest_there, str(tmp_path)).returncode == 1  # 0, not 28


def test_a_signal_reaches_the_command() -> None:
    process = subprocess.Popen(
        [*RUN, "--", sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--min-sms", "-1"], 2, "--min-sms '-1' is not valid; allowed: a whole number from 0"),
        (["--min-sms", "many"], 2, "--min-sms 'many' is not valid"),
        (["--set", "epilogue_fusion"], 2, "--set 'epilogue_fusion' is not valid; allowed: OPTION="),
        (["--set", "epilogue_fussion=1"], 2, "did you mean 'epilogue_fusion'"),
        (
            ["--set", "epilogue_fusion=yes"],
            2,
            "--set 'epilogue_fusion=yes': torch._inductor.config.epilogue_fusion is bool, True or",
        ),
        (["--set", "cpp.simdlen={1,2}"], 2, "--set 'cpp.simdlen={1,2}' is not valid; allowed: Tr"),
        (["--set", "cpp.simdlen=(1,2)"], 2, "--set 'cpp.simdlen=(1,2)' is not valid; allowed: Tr"),
        (["--set", "compile_threads={[]:1}"], 2, "compile_threads is int, such as"),
        (["--set", OPTION + "=3"], 2, "the threshold is --min-sms N"),
        (["--set", "min_sms=3"], 2, "the threshold is --min-sms N"),
    ],
)
def test_a_typing_error_is_one_line_and_starts_nothing(
    arguments: list[str], status: int, message: str, tmp_path: Path
) -> None:
    """In this process, where torch is imported: what is started would take its place."""
    done = CliRunner().invoke(main, ["run", *arguments, "--", "touch", str(tmp_path / "started")])
    assert (done.exit_code, list(tmp_path.iterdir())) == (status, [])
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("./README.md", 126, "not executable: ./README.md"),
        ("no-such-command", 127, "command not found: no-such-command"),
    ],
)
def test_a_command_that_cannot_be_started_is_one_line(
    command: str, status: int, message: str
) -> None:
    done = run("--", command)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_misspelled_option_is_not_taken_for_the_command() -> None:
    done = run("--min_sms", "0", "--", "true")
    assert done.returncode == 2
    assert "--min_sms" in done.stderr
    assert "--min-sms" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.same_everywhere
@pytest.mark.slow
def test_it_says_that_everything_is_switched_off() -> None:
    show = (
        "import torch._inductor.config as c\n"
        f"print(hasattr(c, {OPTION!r}), c.size_asserts, c.max_autotune)"
    )
    done = run(
        *("--set", "size_asserts=False", "--max-autotune", "--", sys.executable, "-c", show),
        INDUCTOR_OVERRIDE_DISABLE="1",
    )
    assert (done.returncode, done.stdout) == (0, "False True False\n")
    assert "inductor-override: the override is off: INDUCTOR_OVERRIDE_DISABLE=1\n" in done.stderr


def test_no_command_is_a_typing_error() -> None:
    done = run("--min-sms", "3")
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_environment_without_the_package_is_told() -> None:
    """As when COMMAND is the Python of another environment."""
    done = run(
        *("--", sys.executable, "-c", "import sys; print(sys.flags.no_site)"),
        PYTHONPATH="",
    )
    assert done.returncode == 0
    hidden = (
        "import sys; sys.modules['inductor_override'] = None; import runpy; "
        f"runpy.run_path({str(STARTUP)!r})"
    )
    told = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, check=True
    )
    assert "the override is off in" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.same_everywhere
def test_a_torch_that_is_not_supported_starts_nothing_where_it_is_seen(tmp_path: Path) -> None:
    """It is where --set is checked. Else the child says it, in one warning."""
    code = (
        "import sys, torch._inductor.utils as utils; del utils.is_big_gpu\n"
        "from inductor_override.cli import main; main(['run', *sys.argv[1:]])"
    )
    started = str(tmp_path / "started")
    done = subprocess.run(
        [sys.executable, "-c", code, "--set", "size_asserts=False", "--", "touch", started],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, list(tmp_path.iterdir())) == (3, [])
    assert "torch._inductor.utils has no is_big_gpu" in done.stderr.splitlines()[-1]
