"""`compare` with the real torch on the CPU: what it builds, checks, and sees of the compiler."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from conftest import Snapshot

from inductor_override.cli import main
from inductor_override.comparison import Comparison, compare, correctness, process, timing
from inductor_override.comparison.__main__ import _checked
from inductor_override.comparison.cases import Case, layers_of, make_cases
from inductor_override.comparison.observed import Observed, observing
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import read
from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.problem import EPILOGUES, OPS, Problem

MODEL = """
import types
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(16, 16)
    def forward(self, x):
        return torch.relu(self.linear(x)) * 2

def build():
    print("building")
    return Net(), (torch.randn(8, 16),)

def product():  # needs no C++ compiler
    print("building")
    return torch.nn.Linear(16, 16), (torch.randn(8, 16),)

def unseeded():
    import os
    return product()[0], (torch.full((8, 16), float(os.getpid())),)

def broken():
    raise ValueError("no such checkpoint")

class Dropping(Net):
    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), 0.5)

class Overflowing(Net):
    def forward(self, x):
        return super().forward(x).exp() * 60000 * 60000

class WithoutWeights(torch.nn.Module):
    def forward(self, x):
        return x * 2

class WithLoss(Net):
    def forward(self, x):
        out = super().forward(x)
        return types.SimpleNamespace(loss=out.sum(), of_no_use=out.detach())
def without_weights():
    with torch.device("meta"):
        return product()

def words():
    return torch.nn.Embedding(2, 4)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_model.py").write_text(MODEL)
    yield tmp_path
    sys.modules.pop("my_model", None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", "--device", "cpu", *arguments])


@pytest.mark.slow
def test_wrong_results_and_arms_that_change_nothing_are_never_timed(folder: Path) -> None:
    done = run(
        *("--module", "my_model.py:build", "--arm", "stock", "--arm", "min_sms=0"),
        *("--arm", "cpp.inject_relu_bug_TESTING_ONLY=accuracy", "--arm", "stock"),
        *("--seconds", "0.05", "--json"),
        *("--rounds", "1", "--html", "page.html"),
    )
    assert done.exit_code == 5, done.output
    facts = json.loads(done.stdout)
    gate, bug, same = facts["arms"]
    assert same["reasons"][0] == "too-few-rounds"
    assert (gate["verdict"], gate["reasons"]) == ("NOT IN FORCE", ["gate-not-asked"])
    assert (bug["verdict"], bug["ratio"]["value"]) == ("WRONG", None)
    assert "relative error of model" in bug["text"]
    assert [r["step"]["phase"] for r in facts["runs"] if r["step"]["arm"] in (1, 2)] == [
        *("check", "warm"),
        "check",
    ]
    first = next(r for r in facts["runs"] if r["step"]["phase"] == "noise")
    (case,) = first["cases"]
    assert case["case"] == "model"
    assert len(case["device"]) >= 10
    assert 0 < case["error"] < case["limit"]
    assert case["observed"]["counters"] == {"fxgraph_cache_miss": 1}, "caches of its own"
    warm = next(r for r in facts["runs"] if r["step"]["phase"] == "warm")
    assert warm["cases"][0]["observed"]["counters"] == {"fxgraph_cache_hit": 1}
    assert facts["environment"]["torch"] == torch.__version__
    assert "WRONG" in Path("page.html").read_text("utf-8")
    assert list(Path().glob("*torchinductor*")) == []


@pytest.mark.slow
def test_nothing_in_force_is_exit_6_before_anything_is_timed(folder: Path) -> None:
    """What the model prints does not get among the answers of its process, nor on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "inductor_override", "compare", "--device", "cpu", "--module"]
        + ["my_model.py:product", "--rounds", "6", "--json", "--output", "result.json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 6, done.stderr
    assert json.loads(done.stdout)["ended"] == "nothing in force"
    again = CliRunner().invoke(main, ["compare", "--from", "result.json"])
    assert again.exit_code == 6
    assert "min_sms=0 changes nothing here: the gate was never asked" in again.stdout
    assert "Nothing was timed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--module", "my_model.py:broken"], "no such checkpoint"),
        (["--module", "my_model.py:Net"], "give each with --input"),
        (["--module", "my_model.py:Net", "--input", "float32[8,17]"], "shapes cannot be"),
        (["--module", "none.py:Net"], "there is no file none.py"),
        (["--arm", "stock"], "a comparison takes two arms or more; write --arm for each"),
        (["--arm", "stock", "--arm", "mode=max-autotun"], "did you mean 'max-autotune'"),
        (["--arm", "stock", "--arm", "max_autotun=True"], "did you mean 'max_autotune'"),
        (["--arm", "stock", "--arm", "max_autotune=maybe"], "is bool, True or False"),
        (["--device", "cuda"], "there is no CUDA GPU here"),
        (
            ["--device", "cuda", "--module", "m.py:Net", "--input", "float32[8]"],
            "inductor-override explain --module m.py:Net --input 'float32[8]' --gpu NAME",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_2(
    folder: Path, arguments: list[str], said: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.output
    assert said in done.output
    assert "site-packages" not in done.output
    assert not (folder / "cache").exists() or not list((folder / "cache").rglob("*.json"))


@pytest.mark.slow
def test_a_model_that_differs_from_process_to_process_is_refused(folder: Path) -> None:
    done = run("--module", "my_model.py:unseeded", "--rounds", "1")
    assert done.exit_code == 4, done.output
    assert "differ from process to process" in done.stdout


DYING = """
import json, os, sys
request = json.load(sys.stdin)
if request["phase"] == "{phase}":
    print("loading weights", file=sys.stderr, flush=True)
    {dies}
print(json.dumps({{"kind": "reference", "layers": [], "vector_code": False,
                   "environment": {{"torch": "2.13.0", "device": "here", "built": []}}}}))
"""


@pytest.mark.parametrize(
    ("dies", "said"),
    [
        ("os._exit(3)", "the process ended with exit status 3"),
        pytest.param(
            "os.kill(os.getpid(), 9)",
            "the process was ended by signal 9 (out of memory?)",
            marks=pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals"),
        ),
    ],
)
def test_a_process_that_dies_is_named_with_its_last_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dies: str, said: str
) -> None:
    """Before anything is known it ends the comparison; later it is the failure of an arm."""
    monkeypatch.setattr(process, "_CHILD", "dying")
    monkeypatch.syspath_prepend(folder)
    arguments = ("--module", "my_model.py:build", "--rounds", "1")
    (folder / "dying.py").write_text(DYING.format(phase="reference", dies=dies))
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.endswith(f"error: {said}\nloading weights\n")
    (folder / "dying.py").write_text(DYING.format(phase="measure", dies=dies))
    done = run(*arguments)
    assert done.exit_code == 4, done.output
    assert f"failed: min_sms=0, check: {said}\nloading weights\n" in done.stdout
    assert "FAILED: No round has times of stock and of min_sms=0" in done.stdout


@pytest.mark.slow
def test_from_python_a_comparison_is_kept_and_tells_how_far_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    product = importlib.import_module("my_model").product
    told: list[tuple[str, int, int]] = []
    found = compare(
        product,
        device="cpu",
        rounds=1,
        budget=0,
        output="result.json",
        progress=lambda *step: told.append(step),
    )
    assert told == [("the reference", 0, 8)]
    assert "The budget was used up" in str(found)
    assert str(Comparison(read(Path("result.json")))) == str(found)
    assert found.result.question.module == "my_model:product"


def case_of(folder: Path, name: str, **how: Any) -> Case:
    question = Question(module=f"{folder / 'my_model.py'}:{name}", device="cpu", **how)
    (case,) = make_cases(question)
    return case


def kept_reference(case: Case, path: Path) -> dict[str, Any]:
    def step(module: Any, args: Any, kwargs: Any) -> Any:
        return type(case)(case.name, module, args, kwargs, case.train).outputs(module)

    correctness.make_reference(case.module, step, case.args, case.kwargs, path)
    return correctness.load_reference(path)


def worst_of(found: list[float], eager: list[float]) -> tuple[float, float]:
    """Its error and its limit, where there is something to tell."""
    worst = correctness.worst(found, eager, "float32")
    assert worst is not None
    return worst


@pytest.mark.parametrize("train", [False, True])
def test_the_reference_is_of_higher_precision_and_has_the_gradients(
    folder: Path, train: bool
) -> None:
    case = case_of(folder, "build", train=train)
    right = kept_reference(case, folder / "reference.pt")["groups"]
    assert [len(group) for group in right] == ([1, 2] if train else [1])
    assert all(each.dtype == torch.float64 for group in right for each in group)
    own = correctness.errors(case.outputs(case.module), right)
    assert all(0 < each < 1e-6 for each in own)
    case.module.linear.weight.data[0, 0] += 1
    found = correctness.errors(case.outputs(case.module), right)
    error, limit = worst_of(found, own)
    assert error > 1e-3 > limit


def test_a_model_that_insists_on_its_dtype_is_its_own_reference(folder: Path) -> None:
    (folder / "my_model.py").write_text(
        f"{MODEL}\nclass Own(Net):\n    def forward(self, x):\n"
        "        return super().forward(x.to(torch.float32))\n"
    )
    case = case_of(folder, "Own", inputs=("float32[8,16]",))
    reference = kept_reference(case, folder / "reference.pt")
    assert reference["dtype"] == "its own"
    assert correctness.errors(case.outputs(case.module), reference["groups"]) == [0]


def test_a_step_that_changes_buffers_is_begun_from_the_same_ones(folder: Path) -> None:
    (folder / "my_model.py").write_text(
        f"{MODEL}\nclass Counting(Net):\n    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('count', torch.zeros(()))\n"
        "    def forward(self, x):\n        self.count += 1\n"
        "        return super().forward(x) * self.count\n"
    )
    case = case_of(folder, "Counting", inputs=("float32[8,16]",))
    before = correctness.fingerprint(case.module, case.args, case.kwargs)
    right = kept_reference(case, folder / "reference.pt")["groups"]
    for _ in range(2):
        assert correctness.errors(case.outputs(case.module), right)[0] < 1e-6
    assert correctness.fingerprint(case.module, case.args, case.kwargs) != before


def test_a_gradient_that_is_zero_but_for_rounding_hides_nothing_and_is_no_fault() -> None:
    """A bias before a batch norm has one: its relative error is no error of the model's."""
    right = [[torch.ones(8).double()], [torch.ones(8).double(), torch.full((8,), 1e-12).double()]]
    noise = [[torch.ones(8) + 1e-7], [torch.ones(8) - 1e-7, torch.full((8,), 1e-9)]]
    own = correctness.errors(noise, right)
    assert max(own) < 1e-6
    wrong = [[torch.ones(8) * 1.1], noise[1]]
    error, limit = worst_of(correctness.errors(wrong, right), own)
    assert error > 0.09 > limit


def test_what_a_norm_would_hide_is_an_error() -> None:
    right = [[torch.ones(3), torch.arange(200), torch.ones(2, dtype=torch.complex64)]]

    def worst(*got: torch.Tensor) -> tuple[float, float]:
        found = correctness.errors([list(got)], right)
        return worst_of(found, correctness.errors(right, right))

    ones, numbers, complex_ = right[0]
    assert worst(*right[0]) == (0, 1e-5)
    for wrong in (
        (ones, numbers),
        (torch.ones(4), numbers, complex_),
        (torch.tensor([1.0, float("nan"), 1.0]), numbers, complex_),
        (ones, numbers + 1, complex_),
        (ones, numbers, complex_ * 1j),
    ):
        error, limit = worst(*wrong)
        assert error > limit
    error, limit = worst(ones, torch.cat([numbers[:-1], numbers[:1]]), complex_)
    assert error < limit, "an argmax between equals"
    overflown = correctness.errors([[ones * float("nan")]], [[ones]])
    assert correctness.worst(overflown, overflown, "float16") is None


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("Dropping", {"train": True}, "the model draws random numbers"),
        ("Overflowing", {"dtype": "float16"}, "the model overflows without compiling, too"),
    ],
)
def test_a_model_of_which_nothing_can_be_told_is_not_checked(
    folder: Path, name: str, how: dict[str, Any], why: str
) -> None:
    case = case_of(folder, name, inputs=(f"{how.get('dtype', 'float32')}[8,16]",), **how)
    kept_reference(case, folder / "reference.pt")
    found = _checked(case, case.module, folder / "reference.pt")
    assert found == {"error": None, "limit": None, "reference": why}


def test_a_training_step_begins_at_the_loss_of_a_model_that_returns_one(folder: Path) -> None:
    case = case_of(folder, "WithLoss", inputs=("float32[8,16]",), train=True)
    case.step(case.module)
    got = case.module.linear.bias.grad
    positive = case.module.linear(*case.args) > 0
    assert torch.equal(got, 2.0 * positive.sum(0)), "of a sum of relu(...) * 2"


def test_a_training_step_of_what_cannot_be_trained_is_refused(folder: Path) -> None:
    case = case_of(folder, "WithoutWeights", inputs=("float32[8,16]",), train=True)
    with pytest.raises(WorkloadError, match="--train: no output of the model depends on what can"):
        kept_reference(case, folder / "reference.pt")


@pytest.mark.parametrize(
    ("op", "epilogue"),
    [*((op, "bias+gelu") for op in OPS), *(("bmm", each) for each in EPILOGUES[:-1])],
)
def test_a_product_computes_what_its_text_says(op: str, epilogue: str) -> None:
    """And what the sizes say: the rows of a, the columns of b."""
    batch = 3 if op in ("bmm", "baddbmm") else 1
    problem = Problem(6, 4, 8, op, epilogue, "float32", batch)
    first, second = make_cases(Question(problems=(problem, problem), device="cpu"))
    names = {"addmm": "cab", "baddbmm": "cab", "linear": "aw", "conv2d": "aw"}.get(op, "ab")
    known = {**vars(torch), **vars(torch.nn.functional)}
    known |= {"conv2d": partial(torch.conv2d, padding=1), "bias": first.args[-1]}
    known |= dict(zip(names, first.args, strict=False))
    (out,) = first.step(first.module)
    assert torch.equal(out, eval(problem.text, known))
    assert out.shape == {"conv2d": (1, 8, 2, 3)}.get(op, (3, 6, 8) if batch == 3 else (6, 8))
    assert torch.equal(out, second.step(second.module)[0]), "seeded"


def test_a_model_that_was_built_without_weights_is_refused(folder: Path) -> None:
    with pytest.raises(WorkloadError, match=r"Linear was built on the meta device.*cannot be run"):
        case_of(folder, "without_weights")


def test_whole_numbers_as_inputs_can_be_indices(folder: Path) -> None:
    case = case_of(folder, "words", inputs=("int64[100]",))
    assert set(case.args[0].tolist()) == {0, 1}
    ((out,),) = case.outputs(case.module)
    assert out.shape == (100, 4)


def test_the_layers_of_a_model_are_its_distinct_products(folder: Path) -> None:
    (layer,) = layers_of(case_of(folder, "build"))
    assert (layer.op, layer.m, layer.k, layer.n, layer.dtype) == ("linear", 8, 16, 16, "float32")
    ops = [
        (each.op, each.m, each.k, each.n)
        for each in layers_of(case_of(folder, "build", train=True))
    ]
    assert sorted(ops) == [("linear", 8, 16, 16), ("mm", 16, 8, 16)]


def test_what_inductor_made_is_seen_and_the_compiler_is_left_as_it_was(no_trace: Snapshot) -> None:
    def seen_of(function: Callable[[Any], Any]) -> Observed:
        torch._dynamo.reset()
        with observing() as seen, torch._inductor.config.patch(force_disable_caches=True):
            torch.compile(function)(torch.randn(8, 8))  # products alone need no C++ compiler
        return seen

    one, again = seen_of(lambda x: x @ x), seen_of(lambda x: x @ x)
    assert {name: n for name, n in one.kernels.items() if "mm" in name} == {"extern_kernels.mm": 1}
    assert len(one.code) == 16
    assert again.code == one.code
    assert seen_of(lambda x: x @ x @ x).code != one.code
    nothing = seen_of(lambda x: x)
    assert (nothing.code, nothing.kernels) == ("", {}), "no code was generated"


def test_samples_are_those_of_the_call_alone() -> None:
    """The harness itself costs under 1 % of a call of two milliseconds."""
    import time

    def call() -> None:
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass

    samples = timing.sample(call, "cpu", 0.1)
    assert len(samples.wall) >= timing.FEWEST
    assert 0.002 <= min(samples.wall) < 0.00202


def test_calls_that_still_become_faster_are_no_samples() -> None:
    import time

    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        ends = time.perf_counter() + max(0.0005, 0.005 - 0.0003 * len(calls))
        while time.perf_counter() < ends:
            pass

    samples = timing.sample(call, "cpu", 0.3)
    assert samples.steady
    assert samples.warm_up > 15
    assert sorted(samples.wall)[len(samples.wall) // 2] < 0.0006
