"""What `run` starts, and how it leaves the process: scripts, flags of Python, `disable`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_run import RUN, run
from this_torch import CONFIG_HAS_ENTRIES, HAS_ALIASES, HAS_GRAPH_CACHE, READS_VARIABLES

from inductor_override.cli import reach


@pytest.mark.skipif(not CONFIG_HAS_ENTRIES, reason="until 2.5 the config is a dict of plain values")
def test_a_dict_that_it_set_is_taken_back_by_disable(tmp_path: Path) -> None:
    """torch assigns a copy of a dict or a list at its first read."""
    program = tmp_path / "program.py"
    program.write_text(
        "import torch._inductor.config as config\n"
        "import inductor_override as io\n"
        "print(config.post_grad_fusion_options)\n"
        "io.disable()\n"
        "print(config.post_grad_fusion_options)\n"
    )
    setting = "post_grad_fusion_options={'batch_linear': {}}"
    done = run("--set", setting, "--", sys.executable, str(program))
    assert done.stdout == "{'batch_linear': {}}\n{}\n", done.stderr


@pytest.mark.slow
def test_what_it_set_is_taken_back_by_disable(tmp_path: Path) -> None:
    """And no layer of ours stays anywhere: torch's modules import names from each other."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import json, sys
import torch._inductor.config as config
import torch._inductor.compile_fx
import inductor_override as io
def layers():
    return [name for module in tuple(sys.modules.values()) if hasattr(module, "__dict__")
            for name, value in tuple(vars(module).items()) if type(value).__name__ == "Layer"]
seen = [config.size_asserts, config.epilogue_fusion, len(layers()) > 0]
config.epilogue_fusion = None
io.disable()
print(json.dumps([*seen, config.size_asserts, config.epilogue_fusion, layers()]))
"""
    )
    done = run(
        *("--set", "size_asserts=False", "--set", "epilogue_fusion=False", "--"),
        *(sys.executable, str(program)),
    )
    assert json.loads(done.stdout) == [False, False, True, True, None, []], done.stderr


@pytest.mark.same_everywhere
@pytest.mark.slow
@pytest.mark.skipif(not HAS_ALIASES, reason="options with a name in another config came with 2.7")
def test_a_setting_that_cannot_be_made_is_said() -> None:
    show = "import torch._inductor.config as c; print(c.force_disable_caches)"
    done = run("--set", "force_disable_caches=True", "--", sys.executable, "-c", show)
    assert done.stdout == "False\n"
    assert "the Inductor option force_disable_caches stays False: it was assigned" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not HAS_GRAPH_CACHE, reason="before torch 2.2 nothing reads the whole config")
def test_what_disable_takes_back_is_in_no_thread_s_keys(tmp_path: Path) -> None:
    """From torch 2.13 on each thread keeps a copy of the config, from which its keys are made."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import pickle
from concurrent.futures import ThreadPoolExecutor
import torch._inductor.config as config
import inductor_override as io
def keys():
    return sorted(pickle.loads(config.save_config()).items())
with ThreadPoolExecutor(1) as pool:
    keys(), pool.submit(keys).result()
    io.disable()
    print(keys(), pool.submit(keys).result())
"""
    )
    done = run("--set", "epilogue_fusion=False", "--", sys.executable, str(program))
    torchs = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.stdout == torchs.stdout != "", done.stderr


def test_a_script_without_a_first_line_runs_as_in_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1" "$TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS"; exit 3\n')
    script.chmod(0o755)
    done = run("--min-sms", "5", "--", str(script), "a b")
    assert (done.returncode, done.stdout) == (3, "a b 5\n")


@pytest.mark.parametrize(
    ("interpreter", "status", "said"),
    [
        ("/no/such/interpreter", 127, "the interpreter in its first line is not there"),
        ("/dev/null", 126, "Permission denied"),
    ],
)
def test_an_interpreter_that_is_not_there_is_127_and_one_that_cannot_run_is_126(
    tmp_path: Path, interpreter: str, status: int, said: str
) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{interpreter}\n")
    script.chmod(0o755)
    done = run("--", str(script))
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == f"error: {script}: {said}\n"


@pytest.mark.same_everywhere
@pytest.mark.slow
def test_one_of_inductors_modules_as_the_program() -> None:
    done = run("--", sys.executable, "-m", "torch._inductor.compile_fx")
    assert done.returncode == 0, done.stderr


@pytest.mark.same_everywhere
def test_a_setting_that_this_torch_does_not_have_is_said(tmp_path: Path) -> None:
    """COMMAND may be the Python of another environment."""
    done = subprocess.run(
        [*RUN, "--", sys.executable, "-c", "import torch._inductor.config"],
        env={**os.environ, "INDUCTOR_OVERRIDE_SETTINGS": '{"no_such_option": 1}'},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "this torch has no Inductor option 'no_such_option': it is not set" in done.stderr


def test_a_python_that_reads_no_pythonpath_is_told() -> None:
    for flag, told in (("-I", True), ("-sE", True), ("-s", False)):
        done = run("--", sys.executable, flag, "-c", "print('ran')", "-I")
        assert (done.returncode, done.stdout) == (0, "ran\n")
        assert ("does not load what `run` puts on PYTHONPATH" in done.stderr) is told


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("-mIPython", None),
        ("-Wignore::ImportWarning p.py", None),
        ("-W ignore -I p.py", "-I"),
        ("-Xfrozen_modules=off -S p.py", "-S"),
        ("-X dev -c pass -I", None),
        ("-uBE p.py", "-E"),
        ("--check-hash-based-pycs always -I p.py", "-I"),
        ("- -I", None),
        ("p.py -I", None),
        ("-u -m pytest -S", None),
        ("-W", None),
        ("", None),
    ],
)
def test_flags_are_read_as_python_reads_them(words: str, flag: str | None) -> None:
    assert reach.python_flag(words.split()) == flag


def test_a_launcher_with_a_sitecustomize_of_its_own_is_told() -> None:
    command = ["/usr/bin/opentelemetry-instrument", "python", "p.py"]
    said = reach.notice(command, {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"})
    assert said is not None
    assert "opentelemetry-instrument inductor-override run" in said
    assert reach.notice(["torchrun", "p.py"], {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}) is None
    said = reach.notice(["ddtrace-run", "python", "p.py"], {})
    assert (said is None) is READS_VARIABLES, "from torch 2.5 on torch reads the variable itself"
