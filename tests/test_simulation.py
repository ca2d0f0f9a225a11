"""The real Inductor and the real Triton lower for a GPU that is not there.

One process of its own does all the lowerings, and the tests look at what came out: the stand-ins
can't be taken back, and importing torch takes longer than everything else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from this_torch import CHECKS_BFLOAT16, NAMES_ITS_KERNELS, NAMES_TEMPLATES, STOCK_MIN_SMS

import inductor_override
from inductor_override import catalogue
from inductor_override.simulation import (
    Lowering,
    SimulationError,
    hardware,
    install_gpu,
    lower,
    machine_code,
    toolchain,
)
from inductor_override.simulation.indexing import _indexed
from inductor_override.simulation.machine_code import MachineCode
from inductor_override.simulation.result import CandidateKernel

SCRIPT = """
import json, sys, threading
import inductor_override as io
from inductor_override import catalogue
from inductor_override.simulation import (
    NotCompiledError, ToolchainError, gate_is_open, gate_threshold, install_gpu, lower)

seen = {}

def keep(name, min_sms=None, shape=(256, 128, 512), **how):
    if min_sms is None:
        result = lower(*shape, **how)
    else:
        with io.override(min_sms=min_sms):
            result = lower(*shape, **how)
    seen[name] = result.to_dict()

def sequence(name):
    for step, min_sms in enumerate((None, 0, None, 0)):
        keep(f"{name} {step}", min_sms, fx_graph_cache=True)

try:
    install_gpu(catalogue.find("RTX 3060"))
except ToolchainError as error:
    print(json.dumps({"skip": str(error)}))
    sys.exit()

keep("first")
keep("override", 0)
keep("after")
keep("28", 28)
keep("29", 29)
keep("backward", backward=True)
keep("backward override", 0, backward=True)
keep("float32", 0, dtype="float32")
keep("k=1", 0, shape=(256, 1, 512))
sequence("main")
worker = threading.Thread(target=lambda: (keep("worker"), sequence("worker")))
worker.start()
worker.join()
seen["threshold"] = threshold = gate_threshold()
keep("after threshold")

seen["gates"] = {}
for sms in (1, threshold - 1, threshold, threshold + 1):
    install_gpu(catalogue.find("RTX 3090"), sms=sms)
    seen["gates"][sms] = gate_is_open()
install_gpu(catalogue.find("RTX 3090"))
keep("3090")
keep("3090 cached", fx_graph_cache=True)
keep("3090 held back", 100)
install_gpu(catalogue.find("T4"))
try:
    keep("T4 bfloat16", dtype="bfloat16")
except NotCompiledError as error:
    seen["T4 declined"] = str(error)
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the process with the simulated GPU did, by name."""
    try:
        toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path_factory.mktemp("inductor")),
    }
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    answer: dict[str, Any] = json.loads(child.stdout)
    if "skip" in answer:
        pytest.skip(answer["skip"])
    return answer


@pytest.fixture(scope="module")
def lowered(seen: dict[str, Any]) -> Callable[[str], Lowering]:
    """One lowering by name."""
    return lambda name: Lowering.from_dict(seen[name])


@pytest.mark.slow
@pytest.mark.simulated
class TestLowering:
    def test_torch_alone_has_one_candidate_and_calls_the_vendor(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        stock = lowered("first")
        assert stock.candidates == [("mm", ["mm"])]
        assert stock.names("vendor") == ["mm"]
        assert stock.kernels[0] == "extern_kernels.mm"
        assert len(stock.kernels) == 2  # and a pointwise one
        assert "extern_kernels.mm(" in stock.source
        assert not stock.template

    def test_the_override_brings_candidates_and_one_fused_template(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        overridden = lowered("override")
        [(op, names)] = overridden.candidates
        assert op == "mm"
        assert names[0] == "mm"
        assert len(names) > 10
        assert overridden.names("triton") == [f"triton_mm_{i}" for i in range(len(names) - 1)]
        assert overridden.template
        assert len(overridden.kernels) == 1
        assert "extern_kernels.mm(" not in overridden.source
        if NAMES_ITS_KERNELS:  # 2.0 names its kernels by number alone
            kind = "tem" if NAMES_TEMPLATES else "unk"
            assert overridden.kernels == (f"triton_{kind}_fused_mm_relu_0",)

    def test_afterwards_all_is_as_before(self, lowered: Callable[[str], Lowering]) -> None:
        assert lowered("after") == lowered("first")
        assert lowered("after threshold") == lowered("first")
        assert lowered("worker") == lowered("first")

    def test_min_sms_is_what_the_gpu_must_have(self, lowered: Callable[[str], Lowering]) -> None:
        assert lowered("28") == lowered("override")
        assert lowered("29") == lowered("first")

    def test_both_products_of_the_backward(self, lowered: Callable[[str], Lowering]) -> None:
        assert lowered("backward").candidates == [("mm", ["mm"]), ("mm", ["mm"])]
        overridden = lowered("backward override")
        assert [len(names) > 10 for _, names in overridden.candidates] == [True, True]
        assert overridden.template

    def test_other_dtypes(self, lowered: Callable[[str], Lowering]) -> None:
        assert len(lowered("float32").names("triton")) > 10

    def test_a_product_that_inductor_computes_without_a_gemm(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        without = lowered("k=1")
        # Releases differ; none may fail, and candidates and code must agree.
        assert bool(without.candidates) == without.template

    def test_what_is_sent_comes_back(self, lowered: Callable[[str], Lowering]) -> None:
        result = lowered("override")
        assert Lowering.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.slow
@pytest.mark.simulated
class TestGraphCache:
    @pytest.fixture(autouse=True)
    def _release(self) -> None:
        if not NAMES_TEMPLATES:
            pytest.skip("torch 2.2 is the first with an FX graph cache")

    def test_miss_miss_hit_hit_in_the_main_thread(self, lowered: Callable[[str], Lowering]) -> None:
        steps = [lowered(f"main {step}") for step in range(4)]
        miss, hit = {"fxgraph_cache_miss": 1}, {"fxgraph_cache_hit": 1}
        assert [step.cache for step in steps] == [miss, miss, hit, hit]
        assert [step.template for step in steps] == [False, True, False, True]
        assert [step.source for step in steps[2:]] == [step.source for step in steps[:2]]

    def test_a_thread_that_had_compiled_before_is_served_the_same(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        steps = [lowered(f"worker {step}") for step in range(4)]
        assert [step.cache for step in steps] == [{"fxgraph_cache_hit": 1}] * 4
        assert [step.template for step in steps] == [False, True, False, True]

    def test_another_gpu_is_never_served_the_code_of_the_first(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        assert lowered("3090 cached").cache == {"fxgraph_cache_miss": 1}
        assert lowered("3090 cached").template


@pytest.mark.slow
@pytest.mark.simulated
class TestGpu:
    def test_the_threshold_is_the_one_of_this_torch(self, seen: dict[str, Any]) -> None:
        assert seen["threshold"] == (STOCK_MIN_SMS)

    def test_the_gate_opens_at_the_threshold(self, seen: dict[str, Any]) -> None:
        assert list(seen["gates"].values()) == [False, False, True, True]

    def test_a_big_gpu_passes_by_itself_and_can_be_held_back(
        self, lowered: Callable[[str], Lowering]
    ) -> None:
        assert lowered("3090").template
        assert lowered("3090 held back").candidates == [("mm", ["mm"])]

    @pytest.mark.skipif(not CHECKS_BFLOAT16, reason="2.3 compiles bfloat16 for every GPU")
    def test_a_dtype_that_torch_does_not_compile_for_the_gpu(self, seen: dict[str, Any]) -> None:
        assert seen["T4 declined"] == (
            f"torch {torch.__version__} does not compile bfloat16 for Tesla T4 "
            "(compute capability 7.5). Ask about another dtype"
        )


@pytest.mark.parametrize(
    "index",
    [
        (),
        (-1,),
        (0, slice(None), slice(1, None, 2)),
        (slice(None, None, 2), slice(-2, None)),
        (slice(0, 0),),
        (None, 1, Ellipsis, None),
        (Ellipsis, 2),
        (torch.tensor(1),),
        (torch.tensor([[0, 1], [1, 2]]),),
        (torch.tensor([2, 0]), 0),
        (torch.tensor([2, 0]), slice(None), torch.tensor([1, 3])),
        (torch.tensor([2, 0]), None, torch.tensor([1, 3])),
        (torch.tensor([True, False, True]), 0),
        (torch.arange(12).reshape(3, 4) % 2 == 0,),
        (Ellipsis, torch.arange(20).reshape(4, 5) % 3 == 0),
        (torch.arange(12).reshape(3, 4) % 2 == 0, torch.tensor([0, 1, 2, 3, 4, 0])),
    ],
)
def test_a_tensor_on_the_simulated_gpu_is_indexed_as_torch_does_it(index: tuple[Any, ...]) -> None:
    """On the CPU, where torch's own way works too."""
    tensor = torch.arange(3 * 4 * 5).reshape(3, 4, 5)
    assert torch.equal(_indexed(tensor, index), tensor[index])


@pytest.mark.same_everywhere
class TestCandidate:
    """Triton's compiler is stood in for."""

    KERNEL = CandidateKernel("triton_mm", "kernel.py", "kernel", (64, 64, 32), 3, 4, 16)

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("triton")  # its version is part of a result's name on the disk
        monkeypatch.setattr(hardware, "_installed", catalogue.find("RTX 3060"))

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (
                "`ptxas` stderr:\nptxas fatal   : Value 'sm_75' is not defined\nSee kernel.ptx\n",
                "ptxas fatal   : Value 'sm_75' is not defined",
            ),
            (
                "ptxas error   : too much shared data\n\nRepro command: ptxas kernel.ptx\n",
                "ptxas error   : too much shared data",
            ),
            ("at 12:4:\n  unsupported dtype\n\n", "unsupported dtype"),
            ("", "RuntimeError"),
        ],
    )
    def test_one_that_triton_does_not_compile_has_the_reason_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, reason: str
    ) -> None:
        def fails(kernel: CandidateKernel) -> None:
            raise RuntimeError(said)

        monkeypatch.setattr(machine_code, "_compile", fails)
        assert machine_code.compile_kernel("key", self.KERNEL, tmp_path).error == reason

    @pytest.mark.parametrize("folder", ["kept", "full/kept"])
    def test_a_disk_that_cannot_be_written_costs_time_and_not_the_answer(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
    ) -> None:
        """Where it can be written, the same result is there the next time."""
        (tmp_path / "full").write_text("a file, where a folder would have to be made")
        answers = iter([MachineCode(registers=1), MachineCode(registers=2)])
        monkeypatch.setattr(machine_code, "_compile", lambda kernel: None)
        monkeypatch.setattr(machine_code, "_inspect", lambda *compiled: next(answers))
        found = [
            machine_code.compile_kernel("key", self.KERNEL, tmp_path / folder).registers
            for _ in range(2)
        ]
        assert found == ([1, 1] if folder == "kept" else [1, 2])


def test_nothing_is_installed_where_inductor_is_imported_already() -> None:
    before = vars(torch.cuda).copy()
    with pytest.raises(SimulationError, match=r"before torch\._dynamo|pip install"):
        install_gpu(catalogue.find("RTX 3060"))
    assert vars(torch.cuda) == before


def test_nothing_is_lowered_without_a_simulated_gpu() -> None:
    with pytest.raises(SimulationError, match="install_gpu"):
        lower(16, 16, 16)


def test_the_table_of_tritons_agrees_with_what_this_torch_asks_for() -> None:
    declared = toolchain.declared_triton()
    if declared is None:
        pytest.skip(f"torch {torch.__version__} asks for no Triton")
    tabulated = toolchain.tabulated_triton(torch.__version__)
    assert tabulated is not None
    assert declared.specifier == tabulated.specifier


def test_the_package_does_not_need_the_simulation() -> None:
    source = (
        "import sys, inductor_override; sys.exit('inductor_override.simulation' in sys.modules)"
    )
    root = Path(inductor_override.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", source], cwd=root).returncode == 0
