"""The command line as its user sees it: exit codes, and what is on which stream."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner
from this_torch import CAPTURES_MODELS, STOCK_MIN_SMS

import inductor_override
from inductor_override import catalogue
from inductor_override.cli import main
from inductor_override.cli.explain import _gpu_here
from inductor_override.explanation import process
from inductor_override.patches import select
from inductor_override.simulation import SimulationError, toolchain

captures_models = pytest.mark.skipif(
    not CAPTURES_MODELS, reason="models are captured from torch 2.6 on"
)
NEWEST = ".".join(map(str, select.newest().last))
PACKAGE = Path(inductor_override.__file__).parent
Command = Callable[..., subprocess.CompletedProcess[str]]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m inductor_override ...`, in a process of its own."""
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-m", "inductor_override", *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def triton() -> None:
    """Skips where Triton is not there, or is not the one that torch wants."""
    try:
        toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def answer(triton: None) -> subprocess.CompletedProcess[str]:
    """What `explain` without any argument does where there is no GPU."""
    done = run("explain", CUDA_VISIBLE_DEVICES="")
    if done.returncode == 2 and "needs the module" in done.stderr:
        pytest.skip(done.stderr)
    return done


@pytest.mark.slow
@pytest.mark.simulated
class TestExplain:
    def test_works_without_any_argument(self, answer: subprocess.CompletedProcess[str]) -> None:
        assert (answer.returncode, answer.stderr) == (0, "")
        said = " ".join(answer.stdout.split())
        assert "relu(a @ b): 2.15 GFLOP" in said
        assert "NVIDIA GeForce RTX 3060 (28 SMs, compute capability 8.6): worth-trying" in said
        assert "mm 1024x1024x1024 float16" in said
        assert "Nothing was timed and nothing ran on a GPU" in said

    def test_plain_text_where_there_is_no_terminal(
        self, answer: subprocess.CompletedProcess[str]
    ) -> None:
        assert "\x1b" not in answer.stdout

    def test_a_gpu_by_its_numbers_and_json_is_all_there_is(self) -> None:
        done = run(
            *("explain", "--json", "--no-compile", "--gpu", "H100 PCIe", "--sms", "16"),
            *("--shape", "128x64X256", "--dtype", "bf16", "--op", "linear", "--epilogue", "silu"),
        )
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        [gpu], [problem] = report["gpus"], report["problems"]
        assert (gpu["sms"], gpu["capability"]) == (16, "9.0")
        assert gpu["shared_memory_optin"] == 232448
        assert gpu["name"] == "NVIDIA H100 PCIe with other numbers"
        assert (problem["m"], problem["k"], problem["n"]) == (128, 64, 256)
        assert problem["dtype"] == "bfloat16"
        assert gpu["gate"]["stock"] == {"open": False, "required_sms": STOCK_MIN_SMS}
        assert gpu["problems"][0]["override"]["fit"] is None
        assert gpu["verdict"]["code"] == "worth-trying"


MODEL = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 64)
        print("building")
    def forward(self, x):
        return torch.relu(self.linear(x))

def build():
    assert torch.ones(1).item() == 1  # values are there to be looked at
    return Net().half(), (torch.zeros(64, 64, dtype=torch.float16),)

def with_a_dict():
    return Net(), {'x': torch.zeros(8, 64)}


def broken():
    raise ValueError("no such checkpoint")

class Jumps(Net):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x

class Branches(Net):
    def forward(self, x):
        return torch.cond(x.sum() > 0, torch.relu, torch.tanh, (x,))

number = 3
linear = torch.nn.Linear(64, 64)
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "my_model.py"
    path.write_text(MODEL)
    (path.parent / "types.py").write_text("raise RuntimeError('the folder has a types.py')\n")
    (path.parent / "notes.txt").write_text("Net\n")
    return path


@pytest.mark.slow
@pytest.mark.simulated
@captures_models
def test_a_model_of_the_users_own(triton: None, model_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run(
        *("explain", "--module", f"{model_file}:build", "--gpu", "T4", "--gpu", "RTX 4070"),
        *("--no-compile", "--json", "--html", str(page), "--show-code"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [gpu["name"] for gpu in report["gpus"]] == ["Tesla T4", "NVIDIA GeForce RTX 4070"]
    (product,) = report["problems"]
    assert (product["m"], product["k"], product["n"]) == (64, 64, 64)
    assert product["epilogue"][-1] == "relu"  # torch 2.6 adds the bias there, too
    assert "building" in done.stderr, "what the model prints is not part of the report"
    assert "tl.dot" in done.stderr
    assert page.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.slow
@captures_models
@pytest.mark.parametrize(
    ("arguments", "first_line", "more"),
    [
        (
            ["--module", "my_model.py"],
            "'my_model.py' is not valid; allowed: PACKAGE.MODULE:NAME",
            "",
        ),
        (["--module", "none.py:Net"], "there is no file none.py", ""),
        (["--module", "no.such:Net"], "importing no.such failed", "No module named 'no'"),
        (["--module", "notes.txt:Net"], "notes.txt is no file of Python; allowed: PACKAGE", ""),
        (["--module", "my_model.py:Nett"], "has no Nett; what it has of that kind: Net, build", ""),
        (["--module", "my_model.py:Nett"], "broken, Jumps, Branches, linear", ""),
        (["--module", "my_model.py:number"], "is int, neither", ""),
        (["--module", "my_model.py:Net"], "give each with --input 'dtype[sizes]'", ""),
        (["--module", "my_model.py:broken"], "broken() raised an error", "no such checkpoint"),
        (
            ["--module", "my_model.py:Net", "--input", "float32[8,65]"],
            "cannot capture Net with float32[8,65]",
            "",
        ),
        (
            ["--module", "my_model.py:Net", *["--input", "float32[8,64]"] * 2],
            "Net cannot be called with float32[8,64], float32[8,64]: too many positional",
            "its forward takes (x)",
        ),
        (
            ["--module", "my_model.py:Branches", "--input", "float32[8,64]"],
            "Branches cannot be lowered elsewhere: its graph has a part that only this process",
            "as FlexAttention, torch.cond and loops have",
        ),
        (
            ["--dynamic", "--module", "my_model.py:Net", "--input", "float32[1,64]"],
            "Net fixes the first size of its inputs, so it has no symbolic batch",
            "give inputs whose first size is more than 1",
        ),
        (["--dynamic"], "--dynamic is for a model of your own: give --module too", ""),
        (
            ["--module", "my_model.py:with_a_dict"],
            "for keyword arguments return (module, (), {...})",
            "",
        ),
        (
            ["--module", "my_model.py:Jumps", "--input", "float32[8,64]"],
            "torch.export cannot capture Jumps",
            "if x.sum() > 0",
        ),
        (
            ["--module", "my_model.py:Net", "--input", "float16[8,64]"],
            "multiplies float16 by float32, which torch refuses",
            "",
        ),
        (["--module", "my_model.py:Net", "--input", "8x64"], "'8x64' is not valid", ""),
        (["--module", "my_model.py:Net", "--input", "int33[8]"], "torch has no dtype 'int33'", ""),
        (["--train"], "--train is for a model of your own", ""),
        (["--module", "my_model.py:Net", "--shape", "8x8x8"], "exclude each other", ""),
        (["--batch", "4"], "--batch is for --op bmm and baddbmm, not for mm", ""),
        (["--dtype", "bf16", "--gpu", "T4"], "does not compile bfloat16 for Tesla T4", ""),
        (["--html", "nowhere/page.html"], "there is no folder nowhere", ""),
    ],
)
def test_what_cannot_be_explained_is_exit_2_and_one_clear_line(
    triton: None,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    first_line: str,
    more: str,
) -> None:
    """In this process, which has torch; below the line, the user's own part of a traceback."""
    monkeypatch.chdir(model_file.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command's process ends, this one goes on
    done = CliRunner().invoke(main, ["explain", *arguments])
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert first_line in lines[0]
    assert more in done.output
    assert "site-packages" not in done.output
    assert bool(more) or done.output.strip().endswith(lines[0]) or "File" in done.output


def test_a_torch_that_captures_no_models_is_exit_3_and_says_what_can_be_asked(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "check", lambda: toolchain.Toolchain("2.5.1", "3.1.0"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command's process ends, this one goes on
    model = ("--module", f"{model_file}:Net", "--input", "float32[8,64]")
    done = CliRunner().invoke(main, ["explain", *model])
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == (
        "error: a model can be explained from torch 2.6 on; this is torch 2.5.1. Ask about its "
        "products by --shape\n"
    )


@pytest.mark.simulated
def test_ctrl_c_before_anything_is_known_is_exit_130_and_no_report(
    triton: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "run", interrupted)
    done = CliRunner().invoke(main, ["explain", "--gpu", "T4", "--json"])
    assert done.exit_code == 130
    assert done.output == "interrupted before anything was known\n"


class TestTheGpuThatIsHere:
    """NVIDIA's driver is stood in for, and so is what torch says of the hardware."""

    def test_each_kind_is_explained_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tells_its_memory = types.SimpleNamespace(
            name="another",
            multi_processor_count=132,
            major=9,
            minor=0,
            shared_memory_per_block_optin=200_704,
        )
        unlisted = types.SimpleNamespace(
            name="unlisted", multi_processor_count=4, major=99, minor=0
        )
        first = torch.cuda.get_device_properties(0)
        devices = [first, tells_its_memory, first, unlisted]
        monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(devices))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: devices[number])
        assert [dataclasses.astuple(gpu) for gpu in _gpu_here()] == [
            ("stand-in", 28, (8, 6), 101_376, "device"),
            ("another", 132, (9, 0), 200_704, "device"),
            ("unlisted", 4, (99, 0), 49_152, "device"),
        ]

    def test_none_without_a_driver_and_torch_is_not_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(name: str) -> None:
            raise OSError(f"{name}: cannot open shared object file")

        monkeypatch.setattr(ctypes, "CDLL", missing)
        monkeypatch.delattr(torch.cuda, "device_count")
        assert _gpu_here() == []


@pytest.mark.simulated
def test_explain_exits_with_3_on_a_torch_of_another_shape(triton: None, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from wrapt import register_post_import_hook\n"
        "register_post_import_hook(lambda m: delattr(m, 'is_big_gpu'), 'torch._inductor.utils')\n"
    )
    done = run("explain", PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "torch._inductor.utils has no is_big_gpu" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpu", "RTX 3065"], ["--gpu", "'RTX 3065'", "NVIDIA GeForce RTX 3060,"]),
        (["--gpu", "H100"], ["'H100' could be any of", "H100 PCIe, NVIDIA H100 80GB HBM3"]),
        (["--gpu", "RTX"], ["'RTX' could be any of 129", "such as NVIDIA", "in quotes"]),
        (["--gpu", ""], ["--gpu", "''", "inductor-override gpus"]),
        (["--gpu", "Orin"], ["Jetson AGX Orin 64GB", "--sms, --capability and --shared-memory"]),
        (["--sms", "16"], ["--capability X.Y is missing"]),
        (["--capability", "8.6"], ["--sms N is missing"]),
        (["--sms", "16", "--capability", "3.5"], ["--capability '3.5'", "8.6, 8.7, 8.9"]),
        (["--sms", "0", "--capability", "8.6"], ["--sms", "1<=x<=1024"]),
        (["--shape", "1024x1024"], ["--shape '1024x1024'", "allowed: MxKxN"]),
        (["--shape", "0x8x8"], ["--shape '0x8x8'", "from 1 to"]),
        (["--shape", "9999999x8x8"], ["--shape '9999999x8x8'", "1048576"]),
        (["--dtype", "int4"], ["--dtype 'int4'", "allowed: float16, bfloat16, float32"]),
        (["--min-sms", "-1"], ["--min-sms '-1'", "allowed: a whole number from 0 to"]),
        (
            ["--min-sms", "28.0"],
            ["--min-sms '28.0'", "allowed: a whole number from 0 to"],
        ),
        (
            ["--min-sms", "many"],
            ["--min-sms 'many'", "allowed: a whole number from 0 to"],
        ),
    ],
)
def test_a_typing_error_is_one_line_and_exit_2(arguments: list[str], said: list[str]) -> None:
    done = run("explain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for part in said:
        assert part in done.stderr


def test_a_typing_error_is_answered_without_importing_torch() -> None:
    source = (
        "import sys\n"
        "from inductor_override.cli import main\n"
        "try: main(['explain', '--gpu', '?'])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)\n"
    )
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", source], env=inherited, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "False"]


def test_gpus_lists_every_gpu_and_who_passes() -> None:
    done = run("gpus")
    assert (done.returncode, done.stderr) == (0, "")
    lines: dict[catalogue.Gpu, list[list[str]]] = {gpu: [] for gpu in catalogue.all_gpus()}
    for gpu in lines:
        lines[gpu] = [line.split() for line in done.stdout.splitlines() if f" {gpu.name}  " in line]
    for gpu, found in lines.items():
        assert [line[-3:] for line in found] == [
            [str(gpu.sms), gpu.capability, "yes" if gpu.sms >= 68 else "no"]
        ]


def test_gpus_as_json() -> None:
    gpus = {gpu["name"]: gpu for gpu in json.loads(run("gpus", "--json").stdout)}
    assert len(gpus) == len(catalogue.all_gpus())
    assert gpus["Tesla T4"]["sms"] == 40
    assert gpus["Tesla T4"]["compute_capability"] == "7.5"
    assert gpus["Tesla T4"]["passes_stock_gate"] is False
    assert gpus["NVIDIA GeForce RTX 3080"]["passes_stock_gate"] is True


def test_help_names_the_commands_and_the_version_is_the_packages() -> None:
    for flag in ("-h", "--help"):
        done = run(flag)
        assert done.returncode == 0
        assert "explain" in done.stdout
        assert "gpus" in done.stdout
    assert inductor_override.__version__ in run("--version").stdout


def test_without_a_command_it_shows_the_help() -> None:
    done, asked_for = (CliRunner().invoke(main, words) for words in ([], ["--help"]))
    assert done.output.strip() == asked_for.output.strip()


class TestEnvironment:
    """Which torch and Triton are installed: told apart by their metadata, before any import."""

    @pytest.fixture
    def command_with(self, tmp_path: Path) -> Command:
        """A command where only these versions are installed, and all else is as it is here."""

        def command(
            *arguments: str,
            torch: str | None = None,
            triton: str | None = None,
            torch_requires: str | None = None,
            torch_source: str | None = None,
        ) -> subprocess.CompletedProcess[str]:
            site = tmp_path / "site"
            site.mkdir()
            (site / "inductor_override").symlink_to(PACKAGE)
            for entry in Path(click.__file__).parents[1].iterdir():
                if not entry.name.startswith(("torch", "triton", "inductor_override")):
                    (site / entry.name).symlink_to(entry)
            if torch_source is not None:
                (site / "torch.py").write_text(torch_source)
            for name, version, requires in (
                ("torch", torch, torch_requires),
                ("triton", triton, None),
            ):
                if version is not None:
                    folder = site / f"{name}-{version}.dist-info"
                    folder.mkdir()
                    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
                    lines += [f"Requires-Dist: {requires}"] if requires else []
                    (folder / "METADATA").write_text("\n".join(lines) + "\n")
            # -S: no site-packages but this one.
            return subprocess.run(
                [sys.executable, "-S", "-m", "inductor_override", *(arguments or ["explain"])],
                env={**os.environ, "PYTHONPATH": str(site)},
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )

        return command

    @pytest.mark.parametrize(
        ("torch", "line"),
        [
            ("2.13.0", "pip install triton==3.7.1\n"),
            ("2.12.0+cpu", "pip install triton==3.7.0\n"),
            ("2.7.1+cu126", "pip install triton==3.3.1\n"),
            ("2.14.1", "pip install 'triton~=3.8.0'\n"),
            ("2.7.0a0+7c8ec84dab.nv25.03", "pip install triton\n"),
            ("2.99.0", "pip install triton\n"),
        ],
    )
    def test_without_triton_it_says_which_to_install(
        self, command_with: Command, torch: str, line: str
    ) -> None:
        done = command_with(torch=torch)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: torch {torch} needs Triton")
        assert done.stderr.endswith(line)
        assert done.stderr.count("\n") == 1

    def test_what_torch_itself_asks_for_comes_first(self, command_with: Command) -> None:
        done = command_with(torch="2.13.0", torch_requires='triton==3.7.9; python_version > "3"')
        assert done.stderr.endswith("pip install triton==3.7.9\n")

    def test_another_triton_than_torch_wants(self, command_with: Command) -> None:
        done = command_with(torch="2.13.0", triton="3.6.0")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "error: torch 2.13.0 wants triton==3.7.1, but triton 3.6.0 is installed: "
            "pip install triton==3.7.1\n"
        )

    def test_without_torch(self, command_with: Command) -> None:
        done = command_with(triton="3.7.1")
        assert done.returncode == 2
        assert done.stderr == "error: torch is not installed here: pip install torch\n"

    def test_without_torch_where_nvidias_driver_is_installed(
        self, command_with: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library = next(Path(sysconfig.get_config_var("DESTSHARED")).glob("_struct.*.so"))
        shutil.copy(library, tmp_path / "libcuda.so.1")  # any library that can be loaded
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
        done = command_with(triton="3.7.1")
        assert done.stderr == "error: torch is not installed here: pip install torch\n"
        assert done.returncode == 2

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("status", "torch cannot be imported: "),
            ("doctor", "torch cannot be imported: "),
            (
                "run --set epilogue_fusion=False -- true",
                "--set: torch cannot be imported to check it: ",
            ),
        ],
    )
    def test_what_needs_torch_says_that_it_cannot_be_imported(
        self, command_with: Command, command: str, said: str
    ) -> None:
        done = command_with(*command.split())
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: {said}No module named 'torch'\n"

    @pytest.mark.parametrize(
        ("torch", "gate"),
        [
            (None, f"torch {NEWEST} (68 SMs)"),
            ("2.3.1", "torch 2.3.1 (80 SMs)"),
        ],
    )
    def test_gpus_needs_no_torch_and_names_the_one_whose_gate_it_tells(
        self, command_with: Command, torch: str | None, gate: str
    ) -> None:
        done = command_with("gpus", "RTX", "3080", torch=torch)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"passes the gate of {gate}" in done.stdout

    def test_a_torch_that_is_too_old(self, command_with: Command) -> None:
        done = command_with(torch="1.13.1", triton="2.0.0")
        assert done.returncode == 3
        assert done.stderr == (
            "error: a GPU can be simulated from torch 2.0 on; this is torch 1.13.1\n"
        )

    @pytest.mark.parametrize(
        ("raises", "code", "said"),
        [
            ("RuntimeError('a broken build')", 1, "RuntimeError: a broken build"),
            (
                "ModuleNotFoundError(name='pkg_resources')",
                2,
                "needs the module pkg_resources: pip install 'setuptools<81'",
            ),
        ],
    )
    def test_a_torch_that_cannot_be_imported(
        self, command_with: Command, raises: str, code: int, said: str
    ) -> None:
        done = command_with(torch="2.13.0", triton="3.7.1", torch_source=f"raise {raises}")
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
