"""An explanation is true: what it says is what torch and Triton do, and it says what is unknown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from conftest import Snapshot
from this_torch import CAPTURES_MODELS, CHECKS_BFLOAT16, TUNES_CUSTOM_OPERATORS

import inductor_override as io
from inductor_override.cli import main
from inductor_override.explanation import Explanation, Problem, explain
from inductor_override.explanation.occupancy import blocks_per_sm, waves
from inductor_override.simulation import SimulationError, toolchain
from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.model import load

pytestmark = [pytest.mark.simulated, pytest.mark.slow]
captures_models = pytest.mark.skipif(
    not CAPTURES_MODELS, reason="models are captured, and candidates compiled, from torch 2.6 on"
)
SMALL = Problem(256, 128, 512)


@pytest.fixture(scope="module", autouse=True)
def triton() -> None:
    try:
        toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No result of an earlier run counts."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


class Mlp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(256, 1024), torch.nn.Linear(1024, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(torch.nn.functional.gelu(self.up(x)))


@pytest.fixture(scope="module")
def reports() -> Explanation:
    return explain(Problem(1024, 1024, 1024), gpu="RTX 3060")


@pytest.fixture(scope="module")
def others() -> Explanation:
    """Of a T4 and an H100, whose gate is open: with few candidates, which take long for a T4."""
    return explain(Problem(16, 64, 32), gpu=["T4", "H100 PCIe"])


def facts(report: Explanation, gpu: int = 0, problem: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = report.to_dict()["gpus"][gpu]["problems"][problem]
    return found


class TestOneProduct:
    def test_torch_alone_has_the_library_and_the_override_more(self, reports: Explanation) -> None:
        stock, override = facts(reports)["stock"], facts(reports)["override"]
        assert (stock["candidates"], stock["triton"]) == (1, 0)
        assert stock["kernel"].startswith("extern_kernels.mm")
        assert override["candidates"] == override["triton"] + 1
        assert override["kernel"].startswith("triton_tem_fused_")
        assert reports.problems[0].epilogue == ("relu",)
        assert reports.problems[0].flops == 2 * 1024**3
        assert reports.gpus[0].totals.kernels == (2, 1)
        assert reports.gpus[0].totals.bytes_moved == (5 * 2**21, 3 * 2**21)

    @captures_models
    def test_which_candidates_fit_is_read_from_what_was_compiled(
        self, reports: Explanation
    ) -> None:
        """torch's estimate counts one stage more than Triton allocates."""
        assert reports.complete
        override = facts(reports)["override"]
        candidates = facts(reports)["candidates"]
        assert override["tensor_cores"] == override["triton"]
        large = [(c["tile"], c["stages"]) for c in candidates if not c["fits"]]
        assert override["fit"] == override["triton"] - len(large)
        for one in candidates:
            assert one["fits"] == (one["shared_memory"] <= 101_376)
        if torch.__version__.startswith("2.13.0"):
            assert (override["triton"], override["fit"], override["spill"]) == (21, 16, 0)
            assert large == [
                ("64x64x128", 5),
                ("64x128x128", 4),
                ("128x128x64", 5),
                ("128x128x128", 4),
                ("128x256x64", 4),
            ]
        assert reports.verdicts["NVIDIA GeForce RTX 3060"] == "worth-trying"

    @captures_models
    def test_a_t4_gains_nothing_where_triton_uses_no_tensor_cores(
        self, others: Explanation
    ) -> None:
        """Told by the machine code: Triton 3.2 used them, 3.4 and later do not."""
        override = facts(others, gpu=0)["override"]
        if override["tensor_cores"]:
            assert others.verdicts["Tesla T4"] == "worth-trying"
        else:
            assert override["spill"] > 0
            assert others.verdicts["Tesla T4"] in ("no-tensor-cores", "nothing-fits")

    def test_a_gpu_whose_gate_is_open(self, others: Explanation) -> None:
        assert others.verdicts["NVIDIA H100 PCIe"] == "gate-open-anyway"
        assert others.gpus[1].gate_open == (True, True)
        assert facts(others, gpu=1)["stock"]["triton"] > 0

    def test_the_report_is_the_same_as_json(self, reports: Explanation) -> None:
        data = json.loads(json.dumps(reports.to_dict()))
        assert data["schema"] == 1
        assert [gpu["sms"] for gpu in data["gpus"]] == [28]
        assert {"op", "m", "n", "k", "batch", "dtype", "count", "flops_share", "epilogue"} <= set(
            data["problems"][0]
        )
        assert "RTX 3060" in repr(reports)
        assert "<table>" in reports._repr_html_()
        assert "mm 1024x1024x1024 float16" in str(reports)

    @captures_models
    def test_a_gpu_alone_has_the_same_answer_from_the_disk(self, others: Explanation) -> None:
        """Its kernels are its own, whatever was lowered for other GPUs in the same run."""
        again = explain(Problem(16, 64, 32), gpu="H100 PCIe")
        assert again.to_dict()["gpus"][0] == others.to_dict()["gpus"][1]

    def test_bytes_of_a_product_alone(self) -> None:
        report = explain(Problem(64, 4096, 1024, epilogue="none"), compile_candidates=False)
        read_and_written = 2 * (64 * 4096 + 4096 * 1024 + 64 * 1024)
        assert report.gpus[0].totals.bytes_moved == (read_and_written, read_and_written)


@pytest.mark.parametrize(
    ("code", "gpu", "problem", "how"),
    [
        ("min-sms-too-high", "RTX 3060", SMALL, {"min_sms": 29}),
        ("gate-open-anyway", "RTX 3090", SMALL, {"min_sms": 100}),
        (
            "triton-not-among-backends",
            "RTX 3060",
            SMALL,
            {"options": {"max_autotune_gemm_backends": "ATEN"}},
        ),
        ("not-compiled", "T4", Problem(256, 128, 512, dtype="bfloat16"), {}),
        (
            "not-compiled",
            "RTX 3060",
            SMALL,
            {"options": {"max_autotune_gemm_backends": "TRITON"}},
        ),
        ("deterministic", "RTX 3060", SMALL, {"options": {"deterministic": True}}),
    ],
)
def test_every_reason_why_not_has_its_code(
    code: str, gpu: str, problem: Problem, how: dict[str, Any]
) -> None:
    options = how.get("options", {})
    if not all(hasattr(torch._inductor.config, name) for name in options):
        pytest.skip(f"this torch has no option {', '.join(options)}")
    if code == "not-compiled" and not CHECKS_BFLOAT16:
        pytest.skip("torch refuses bfloat16 below capability 8.0 from 2.4 on")
    report = explain(problem, gpu=gpu, compile_candidates=False, **how)
    assert [*report.verdicts.values()] == [code]
    assert report.gpus[0].verdict.text.endswith(".")
    if code == "not-compiled" and options:
        assert "finds no kernel for a product with the backends" in report.gpus[0].verdict.text


@captures_models
class TestModel:
    def test_a_class_a_module_and_a_function_are_one_model(self) -> None:
        x = torch.randn(64, 256)
        module = Mlp()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        found = [
            explain(source, args, gpu="RTX 3060", compile_candidates=False)
            for source, args in ((Mlp, (x,)), (module, (x,)), (lambda: (Mlp(), (x,)), ()))
        ]
        assert module.training
        assert all(torch.equal(before[name], v) for name, v in module.state_dict().items())
        first, *others = [report.to_dict() for report in found]
        for other in others:
            assert other["problems"] == first["problems"]
        sizes = [(p.m, p.k, p.n, p.count) for p in found[0].problems]
        assert sizes == [(64, 256, 1024, 1), (64, 1024, 256, 1)]
        assert found[0].problems[0].epilogue in (("gelu",), ("bias", "gelu"))
        assert sum(p.flops_share for p in found[0].problems) == pytest.approx(1)

    def test_a_training_step_has_the_backward_products_too(self) -> None:
        report = explain(
            Mlp, (torch.randn(64, 256),), gpu="RTX 3060", train=True, compile_candidates=False
        )
        assert report.gpus[0].totals.gemms == 5
        assert report.gpus[0].totals.behind_gate == 5
        assert report.flops == 5 * 2 * 64 * 256 * 1024

    def test_a_training_step_of_a_model_that_returns_its_loss(self) -> None:
        class Loss(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(64, 32)

            def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                logits = self.linear(x)
                return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels)

        inputs = torch.randn(2, 16, 64), torch.zeros(32, dtype=torch.int64)
        report = explain(Loss, inputs, train=True, compile_candidates=False)
        assert report.gpus[0].totals.gemms == 2, "forward, and the gradient of the weight"
        assert report.flops == 2 * 2 * 32 * 64 * 32

    def test_a_training_step_in_which_nothing_can_be_trained_is_refused(self) -> None:
        with pytest.raises(SimulationError, match="no output of the model depends on a parameter"):
            explain(torch.nn.Tanh, (torch.randn(64, 64),), train=True, compile_candidates=False)

    def test_outputs_that_are_inputs_or_views_of_them(self) -> None:
        class Views(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(64, 64)

            def forward(self, x: torch.Tensor) -> dict[str, Any]:
                return {"same": x, "view": x.t(), "none": None, "product": self.linear(x).view(-1)}

        report = explain(Views, (torch.randn(64, 64),), compile_candidates=False)
        assert report.gpus[0].totals.gemms == 1
        # Of three dimensions: the output is a view of the product.
        linear, x = torch.nn.Linear(64, 32), torch.randn(2, 16, 64)
        report = explain(linear, (x,), train=True, compile_candidates=False)
        assert report.gpus[0].totals.gemms == 2

    def test_inference_is_lowered_as_inference(self) -> None:
        """Inductor makes products of 1 x 1 convolutions; linear() folds a batch into rows."""
        nn = torch.nn
        convolutions = nn.Sequential(nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 32, 1))
        report = explain(convolutions, (torch.randn(4, 64, 32, 32),), compile_candidates=False)
        assert [p.op for p in report.problems] == ["addmm", "addmm"]
        attention = nn.MultiheadAttention(256, 4, batch_first=True)
        inputs = [torch.randn(4, 32, 256)] * 3
        report = explain(attention, inputs, {"need_weights": False}, compile_candidates=False)
        assert {(p.op, p.m) for p in report.problems if p.n == 768} <= {("mm", 128), ("addmm", 128)}
        assert "bmm" not in {p.op for p in report.problems}

    def test_an_input_and_a_buffer_that_the_model_changes(self) -> None:
        class Keeps(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(64, 64)
                self.register_buffer("kept", torch.zeros(64, 64))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                self.kept.copy_(self.linear(x))
                x.mul_(2)
                return self.linear(self.kept) + x

        report = explain(Keeps, (torch.randn(64, 64),), compile_candidates=False)
        assert report.gpus[0].totals.gemms == 2

    def test_autocast_is_refused_rather_than_ignored(self) -> None:
        class Casts(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                with torch.autocast("cuda", torch.float16):
                    return x @ x

        with pytest.raises(WorkloadError, match=r"torch\.autocast.*--dtype"):
            explain(Casts, (torch.randn(64, 64),), compile_candidates=False)

    def test_tf32_that_the_caller_has_allowed(self) -> None:
        """torch itself asks for 512 columns and rows of b."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            report = explain(Problem(64, 512, 512, dtype="float32"))
        finally:
            torch.set_float32_matmul_precision(before)
        assert facts(report)["override"]["tensor_cores"] > 0

    def test_a_layer_for_which_torch_may_have_one_operation_is_named(self) -> None:
        layer = torch.nn.TransformerEncoderLayer(64, 2, 64, batch_first=True)
        report = explain(layer, (torch.zeros(2, 16, 64),), compile_candidates=False)
        (column,) = report.gpus
        assert "nn.TransformerEncoderLayer" in column.notes[0]

    def test_a_model_without_a_product(self) -> None:
        report = explain(torch.nn.Tanh, (torch.randn(64, 64),), compile_candidates=False)
        assert [*report.verdicts.values()] == ["no-gemm-behind-the-gate"]
        assert "never asks the gate" in report.gpus[0].verdict.text

    def test_attention_stays_the_fused_kernel_where_torch_has_one(self) -> None:
        class Attends(torch.nn.Module):
            def forward(
                self,
                x: torch.Tensor,
                allowed: torch.Tensor,
                added: torch.Tensor,
                few: torch.Tensor | None = None,
                flat: torch.Tensor | None = None,
            ) -> list[torch.Tensor]:
                attention = torch.nn.functional.scaled_dot_product_attention
                out = [
                    attention(x, x, x, is_causal=True),
                    attention(x, x, x, attn_mask=allowed),
                    attention(x, x, x, attn_mask=added),
                ]
                if few is not None:
                    out.append(attention(x, few, few, enable_gqa=True))
                if flat is not None:
                    out.append(attention(flat, flat, flat))
                return out

        x, few, flat = (
            torch.randn(*sizes, dtype=torch.float16)
            for sizes in ((1, 4, 64, 32), (1, 2, 64, 32), (3, 96, 16))
        )
        allowed = torch.ones(64, 64, dtype=torch.bool)
        added = torch.zeros(1, 1, 64, 64, dtype=torch.float16)
        fused, product = 2 * 2 * (4 * 64 * 64 * 32), 2 * (3 * 96 * 96 * 16)

        report = explain(Attends, (x, allowed, added), gpu="T4", compile_candidates=False)
        assert report.problems == ()
        assert report.flops == 3 * fused
        assert [*report.verdicts.values()] == ["no-gemm-behind-the-gate"]
        # The kernel takes a mask of numbers: another one makes it of the mask of bools.
        assert report.gpus[0].totals.kernels == (1, 1)

        report = explain(Attends, (x, allowed, added, few, flat), compile_candidates=False)
        # No fused kernel takes a query of three sizes: that attention is two products.
        products = [(p.op, p.batch, p.m, p.k, p.n) for p in report.problems]
        assert products == [("bmm", 3, 96, 16, 96), ("bmm", 3, 96, 96, 16)]
        assert report.flops == 4 * fused + 2 * product

    def test_a_symbolic_batch(self) -> None:
        report = explain(
            Mlp, (torch.randn(64, 256),), gpu="RTX 3060", dynamic=True, compile_candidates=False
        )
        assert [(p.m, p.k, p.n) for p in report.problems] == [(64, 256, 1024), (64, 1024, 256)]
        assert report.gpus[0].totals.behind_gate == 2

    def test_a_convolution_net(self) -> None:
        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = torch.nn.Sequential(
                    torch.nn.Conv2d(16, 32, 3, padding=1),
                    torch.nn.BatchNorm2d(32),
                    torch.nn.ReLU(inplace=True),
                    torch.nn.Conv2d(32, 32, 3, padding=1),
                )

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.layers(x)

        for train in (False, True):
            report = explain(
                Net,
                (torch.randn(2, 16, 32, 32),),
                gpu="RTX 3060",
                dtype=None,
                train=train,
                compile_candidates=False,
            )
            rows = {(p.op, p.m, p.k, p.n): p for p in report.problems}
            assert ("convolution", 2048, 144, 32) in rows
            assert ("convolution", 2048, 288, 32) in rows
            assert report.gpus[0].totals.behind_gate == 2

    def test_operations_of_grouped_convolutions(self) -> None:
        """Each of the two gradients takes what the forward pass takes."""
        net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Conv2d(64, 64, 3, groups=64))
        x = torch.randn(2, 64, 8, 8)
        passes = [
            explain(net, (x,), train=train, compile_candidates=False).flops
            for train in (False, True)
        ]
        linear, convolution = 2 * (2 * 64 * 8) * 8 * 8, 2 * (2 * 64 * 6 * 6) * 9
        assert passes == [linear + convolution, 2 * linear + 3 * convolution]

    def test_a_graph_mode_block_is_part_of_the_graph(self) -> None:
        class Blocks(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(64, 64)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                with torch.enable_grad():
                    return self.linear(x) + self.linear(x * 2)

        report = explain(Blocks, (torch.randn(64, 64),), gpu="RTX 3060", compile_candidates=False)
        assert report.gpus[0].totals.gemms == 2


def in_a_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TORCHINDUCTOR_USE_STATIC_CUDA_LAUNCHER": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@captures_models
def test_candidates_agree_with_torchs_own_lowering(tmp_path: Path) -> None:
    """`compile_fx` itself, on the same function: no graph of this package's making."""
    code = """
import json, torch
from inductor_override import catalogue
from inductor_override.simulation import hardware, selection
hardware.install_gpu(catalogue.find("RTX 3060"))
import inductor_override as io
from torch._inductor import config
from torch._inductor.compile_fx import compile_fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._guards import TracingContext, tracing
from torch.fx.experimental.proxy_tensor import make_fx
from torch._inductor.fx_passes import fuse_attention
fuse_attention._sfdp_init = lambda *args: None  # it traces its patterns on a real device
mode = FakeTensorMode()
with mode:
    inputs = [torch.empty(s, device="cuda", dtype=torch.float16)
              for s in ((64, 256), (1024, 256), (1024,), (256, 1024), (256,))]
    graph = make_fx(lambda x, w, b, v, c: (torch.nn.functional.linear(torch.nn.functional.gelu(
        torch.nn.functional.linear(x, w, b)), v, c),))(*inputs)
seen = selection.Recorder()
selection.record_into(seen)
with (io.override(min_sms=0), torch.no_grad(), tracing(TracingContext(mode)), mode,
      config.patch(max_autotune_gemm=True, fx_graph_cache=False, compile_threads=1)):
    compile_fx(graph, inputs)
print(json.dumps([[s.op, s.m, s.k, s.n, len(s.choices), s.kernel] for s in seen.selections]))
"""
    done = in_a_process(code, TORCHINDUCTOR_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    torchs = json.loads(done.stdout.splitlines()[-1])
    report = explain(
        Mlp, (torch.randn(64, 256),), gpu="RTX 3060", dtype="float16", compile_candidates=False
    )
    ours = [
        [p.op, p.m, p.k, p.n, side["candidates"], side["kernel"]]
        for p, side in zip(
            report.problems,
            (each["override"] for each in report.to_dict()["gpus"][0]["problems"]),
            strict=True,
        )
    ]
    assert ours == torchs


OPERATOR = """
import torch

@torch.library.custom_op("operators_of_a_test::{name}", mutates_args=())
def operator(x: torch.Tensor) -> torch.Tensor:
    return x * 2

@operator.register_fake
def _(x):
    return torch.empty_like(x)

class Net(torch.nn.Module):
    def forward(self, x):
        return operator(x @ x)
"""


@captures_models
def test_a_users_own_operator_is_known_over_there_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "file_of_an_operator.py").write_text(OPERATOR.format(name="twice"))
    net = load(f"{tmp_path / 'file_of_an_operator.py'}:Net")
    report = explain(net, (torch.zeros(256, 256),), compile_candidates=False)
    assert [(p.op, p.m) for p in report.problems] == [("mm", 256)]
    names = {"__name__": "nowhere"}
    exec(OPERATOR.format(name="lost"), names)
    with pytest.raises(SimulationError, match="the operator operators_of_a_test::lost"):
        explain(names["Net"], (torch.zeros(256, 256),), compile_candidates=False)


@captures_models
@pytest.mark.skipif(not TUNES_CUSTOM_OPERATORS, reason="needs register_custom_op_autotuning")
def test_an_operator_with_implementations_to_choose_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch gives the selection of one of them keywords alone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "file_of_a_tuned_operator.py").write_text(
        OPERATOR.format(name="tuned")
        + "from torch._inductor.kernel import custom_op\n"
        + "choices = [custom_op.CustomOpConfig(lambda x: x + x) for _ in range(2)]\n"
        + "custom_op.register_custom_op_autotuning(operator, configs=choices)\n"
    )
    net = load(f"{tmp_path / 'file_of_a_tuned_operator.py'}:Net")
    report = explain(net, (torch.zeros(256, 256),), compile_candidates=False)
    assert [(p.op, p.m) for p in report.problems] == [("mm", 256)]


def test_no_setting_and_no_variable_of_the_user_changes_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = explain(SMALL, compile_candidates=False).to_dict()
    (tmp_path / "types.py").write_text("raise RuntimeError('the user has a types.py')\n")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS": "0",
        "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_BACKENDS": "ATEN",
        "TRITON_INTERPRET": "1",
        "TORCH_LOGS": "+inductor",
    }.items():
        monkeypatch.setenv(name, value)
    assert explain(SMALL, compile_candidates=False).to_dict() == plain


def test_this_process_is_left_as_it_was(no_trace: Snapshot) -> None:
    explain(SMALL, compile_candidates=False)
    assert no_trace.differences() == []
    assert io.status().installed is False


@captures_models
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
def test_ctrl_c_leaves_a_valid_partial_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inductor_override", "explain", "--json"]
    process = subprocess.Popen(
        [*command, "--shape", "512x512x512", "--shape", "768x512x512"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        # A job in the background of a script ignores it, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "inductor-override" / "candidates"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (folder.is_dir() and list(folder.glob("*.json"))):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    report = json.loads(output)
    assert report["complete"] is False
    totals = report["gpus"][0]["totals"]
    assert totals["compiled"] < totals["candidate_kernels"]
    assert "Traceback" not in said


DIES = """
import os
from wrapt import register_post_import_hook

def lowering(module):
    module.lower_graphs = lambda *args, **how: os._exit(3)

def machine_code(module):
    compile_kernel = module.compile_kernel
    module.compile_kernel = lambda key, kernel, folder: (
        compile_kernel(key, kernel, folder) if kernel.stages == 1 else os._exit(3))

register_post_import_hook({module}, "inductor_override.simulation.{module}")
"""


def explain_where_processes_die(module: str, folder: Path, patch: pytest.MonkeyPatch) -> Result:
    """As when torch, or Triton's compiler, crashes: what they start ends without a word."""
    (folder / "sitecustomize.py").write_text(DIES.format(module=module))
    patch.syspath_prepend(folder)
    arguments = ["explain", "--json", "--gpu", "RTX 3060", "--shape", "16x64x32"]
    return CliRunner().invoke(main, arguments)


def test_lowering_that_crashes_is_told_with_its_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = explain_where_processes_die("lowering", tmp_path, monkeypatch)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "error: torch could not lower this: RuntimeError: lowering ended with exit 3. Please report"
    )


@captures_models
def test_candidates_that_crash_tritons_compiler_are_told_and_the_others_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = explain_where_processes_die("machine_code", tmp_path, monkeypatch)
    assert (done.exit_code, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    (problem,) = report["gpus"][0]["problems"]
    crashed = "Triton's compiler ended its process (exit 3)"
    for each in problem["candidates"]:
        assert each["error"] == (None if each["stages"] == 1 else crashed)
    assert 0 < problem["override"]["fit"] < problem["override"]["triton"]
    assert report["complete"] is True


class TestOccupancy:
    def test_nvidias_own_example(self) -> None:
        """CUDA C++ Best Practices Guide, "Calculating Occupancy": 7.0, 37 registers a thread."""
        small = blocks_per_sm((7, 0), threads=128, registers=37, shared_memory=0)
        large = blocks_per_sm((7, 0), threads=320, registers=37, shared_memory=0)
        assert (small, large) == (12, 4)

    def test_shared_memory_registers_and_slots_each_limit(self) -> None:
        one = {"threads": 128, "registers": 32, "shared_memory": 0}
        assert blocks_per_sm((8, 6), **one) == 12  # 48 warps
        assert blocks_per_sm((8, 6), **{**one, "threads": 32}) == 16  # slots
        assert blocks_per_sm((8, 6), **{**one, "registers": 255}) == 2
        assert blocks_per_sm((8, 6), **{**one, "shared_memory": 98_304}) == 1
        assert blocks_per_sm((8, 6), **{**one, "shared_memory": 101_376}) == 1
        assert blocks_per_sm((8, 6), **{**one, "shared_memory": 51_200}) == 1, "CUDA's own 1 KiB"
        assert blocks_per_sm((8, 6), **{**one, "shared_memory": 131_072}) == 0
        assert blocks_per_sm((6, 1), **one) == 0  # not known

    def test_waves(self) -> None:
        assert waves(64, 2, 28) == pytest.approx(64 / 56)
        assert waves(64, 0, 28) is None
