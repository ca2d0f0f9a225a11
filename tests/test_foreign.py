"""Others who reach for the same gate: unsloth's assignment, a wrapt wrapper, a mock."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
import torch._inductor.utils as utils
import wrapt
from conftest import Snapshot
from internals import CONSUMER
from this_torch import CONSUMER_TAKES_DTYPES
from torch._inductor.graph import GraphLowering
from zygote import Zygote

import inductor_override as io

pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


@pytest.fixture(autouse=True)
def torchs_own_gate_afterwards() -> Iterator[None]:
    stock = utils.is_big_gpu
    yield
    utils.is_big_gpu = stock


def foreign(*args: object, **kwargs: object) -> bool:
    """What unsloth assigns, in effect: always yes."""
    return True


foreign.__module__ = "someones_package.kernels"


def ask_as_lowering_does() -> bool:
    """Through the consumer, by the name that it has in torch's module."""
    consumer = vars(utils)[CONSUMER]
    layout = mock.Mock(device=torch.device("cuda", 0), dtype=torch.float16)
    how = {"max_autotune": True}
    with torch._inductor.config.patch(how):
        asking = (layout,) if not CONSUMER_TAKES_DTYPES else (layout, [torch.float16])
        answer: bool = consumer(*asking)
    return answer


@pytest.fixture
def ask_in_a_compile(
    monkeypatch: pytest.MonkeyPatch, compiled: Callable[..., Any], lowered: list[int | None]
) -> Callable[[], bool]:
    """Through the consumer, while torch lowers a graph."""
    answers: list[bool] = []
    run = GraphLowering.run

    def asking(self: GraphLowering, *args: object) -> object:
        answers.append(ask_as_lowering_does())
        return run(self, *args)

    monkeypatch.setattr(GraphLowering, "run", asking)

    def ask() -> bool:
        compiled()
        return answers[-1]

    return ask


def test_the_stand_in_asks_the_gate(set_sms: Callable[[int], None]) -> None:
    assert ask_as_lowering_does() is False
    with io.override(min_sms=28):
        assert ask_as_lowering_does() is True


def test_assigned_before_the_scope(
    set_sms: Callable[[int], None],
    ask_in_a_compile: Callable[[], bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    utils.is_big_gpu = foreign
    with io.override(min_sms=29):
        assert "replaced by someones_package.kernels.foreign" in caplog.text
        assert ask_as_lowering_does() is False
        utils.is_big_gpu = foreign
        assert ask_in_a_compile() is False
        assert io.status().foreign == ("someones_package.kernels.foreign",)
    assert vars(utils)["is_big_gpu"] is foreign
    assert ask_as_lowering_does() is True
    assert caplog.text.count("replaced by someones_package.kernels.foreign") == 1


def test_assigned_in_the_scope_does_not_switch_it_off(
    set_sms: Callable[[int], None],
    ask_in_a_compile: Callable[[], bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with io.override(min_sms=29) as scope:
        assert ask_as_lowering_does() is False
        utils.is_big_gpu = foreign
        for _ in range(3):
            assert ask_in_a_compile() is False
        assert io.status().live
    assert scope.consulted == 4
    assert vars(utils)["is_big_gpu"] is foreign
    said = [r for r in caplog.records if r.name == "inductor_override"]
    assert len([r for r in said if "replaced by" in r.getMessage()]) == 1
    assert all(r.levelno == logging.WARNING for r in said)


def test_at_minus_one_the_newcomer_decides(
    set_sms: Callable[[int], None], ask_in_a_compile: Callable[[], bool]
) -> None:
    io.enable()
    utils.is_big_gpu = foreign
    assert ask_in_a_compile() is True
    io.disable()
    assert vars(utils)["is_big_gpu"] is foreign


def test_status_says_that_it_will_be_taken_back(
    set_sms: Callable[[int], None], ask_in_a_compile: Callable[[], bool]
) -> None:
    io.enable(min_sms=29)
    utils.is_big_gpu = foreign
    now = io.status()
    assert not now.live
    assert "the next compile puts the hook on top" in now.verdict
    assert ask_in_a_compile() is False
    assert io.status().live


def test_the_next_scope_notices_it_too() -> None:
    with io.override(min_sms=0):
        utils.is_big_gpu = foreign
        with io.override(min_sms=0):
            assert io.status().live


def test_nothing_goes_on_top_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """`disable` comes, from elsewhere, while `enable` still says who was at the gate."""

    class Ends(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            io.disable()

    logger = logging.getLogger("inductor_override")
    monkeypatch.setattr(logger, "handlers", [Ends()])
    utils.is_big_gpu = foreign
    io.enable(min_sms=0)
    assert not io.status().installed
    assert vars(utils)["is_big_gpu"] is foreign


def test_a_compile_notices_it_too(compiled: Callable[..., Any]) -> None:
    with io.override(min_sms=0):
        utils.is_big_gpu = foreign
        compiled()
        assert io.status().live


def test_a_wrapt_wrapper_below_ours_stays(set_sms: Callable[[int], None]) -> None:
    @wrapt.decorator
    def theirs(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    utils.is_big_gpu = below = theirs(utils.is_big_gpu)
    with io.override(min_sms=0):
        assert ask_as_lowering_does() is True
    assert vars(utils)["is_big_gpu"] is below
    assert ask_as_lowering_does() is False


def test_a_wrapt_wrapper_above_ours_keeps_its_place_and_loses_us(
    set_sms: Callable[[int], None],
) -> None:
    calls = []

    @wrapt.decorator
    def theirs(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        calls.append(args)
        return wrapped(*args, **kwargs)

    stock = utils.is_big_gpu
    with io.override(min_sms=0):
        utils.is_big_gpu = above = theirs(utils.is_big_gpu)
    assert vars(utils)["is_big_gpu"] is above
    assert above.__wrapped__ is stock
    assert ask_as_lowering_does() is False
    assert len(calls) == 1


def test_a_wrapt_wrapper_above_ours_is_gone_over_once(
    set_sms: Callable[[int], None], ask_in_a_compile: Callable[[], bool]
) -> None:
    """Ours goes on top again; the one below theirs is taken off."""

    @wrapt.decorator
    def theirs(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    with io.override(min_sms=0) as scope:
        utils.is_big_gpu = theirs(utils.is_big_gpu)
        with torch._inductor.config.patch({"max_autotune_gemm_min_sms": -1}):
            assert ask_in_a_compile() is False
    assert scope.consulted == 1


def everything_passed_on(compile_fx: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: compile_fx(*args, **kwargs)


def a_mock(compile_fx: Callable[..., Any]) -> Callable[..., Any]:
    return mock.Mock(wraps=compile_fx)


def what_they_know_passed_on(compile_fx: Callable[..., Any]) -> Callable[..., Any]:
    def theirs(
        model: object,
        inputs: object,
        config_patches: object = None,
        compile_region_name: object = None,
    ) -> Any:
        return compile_fx(model, inputs)

    return theirs


@pytest.mark.parametrize("theirs", [everything_passed_on, a_mock, what_they_know_passed_on])
def test_someone_elses_compile_fx(
    theirs: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
    compiled: Callable[..., Any],
    lowered: list[int | None],
) -> None:
    module = torch._inductor.compile_fx
    monkeypatch.setattr(module, "compile_fx", replaced := theirs(module.compile_fx))
    with io.override(min_sms=7) as scope:
        compiled()
    assert (lowered, scope.graphs_compiled) == ([7], 1)
    assert module.compile_fx is replaced


def test_a_closure_over_our_compile_fx_in_the_next_scope(
    compiled: Callable[..., Any], lowered: list[int | None]
) -> None:
    module = torch._inductor.compile_fx
    stock = module.compile_fx
    try:
        with io.override(min_sms=7):
            module.compile_fx = everything_passed_on(module.compile_fx)
            compiled()
        compiled()
        with io.override(min_sms=8) as scope:
            compiled()
        assert (lowered, scope.graphs_compiled) == ([7, None, 8], 1)
    finally:
        module.compile_fx = stock


def test_a_closure_over_our_compile_fx_only_passes_calls_on_afterwards(
    monkeypatch: pytest.MonkeyPatch, compiled: Callable[..., Any]
) -> None:
    module, seen = torch._inductor.compile_fx, []
    torchs_own = module.compile_fx

    def spy(*args: object, **kwargs: object) -> object:
        seen.append((len(args) > 2, "inner_compile" in kwargs))
        return torchs_own(*args, **kwargs)

    monkeypatch.setattr(module, "compile_fx", functools.wraps(torchs_own)(spy))
    with io.override(min_sms=0):
        ours = module.compile_fx
        compiled()
    monkeypatch.setattr(module, "compile_fx", lambda *args, **kwargs: ours(*args, **kwargs))
    compiled()
    assert seen[0] != (False, False), "the values for the backward graph go along"
    assert seen[-1] == (False, False)


def test_a_closure_over_ours_is_harmless_afterwards(set_sms: Callable[[int], None]) -> None:
    with io.override(min_sms=0):
        ours = utils.is_big_gpu

        @functools.wraps(ours)
        def theirs(*args: Any, **kwargs: Any) -> Any:
            return ours(*args, **kwargs)

        utils.is_big_gpu = theirs
        assert ask_as_lowering_does() is True
    assert vars(utils)["is_big_gpu"] is theirs
    assert ask_as_lowering_does() is False
    with io.override(min_sms=0):
        assert ask_as_lowering_does() is True
    assert ask_as_lowering_does() is False


def test_a_mock_that_puts_ours_back_leaves_nothing(set_sms: Callable[[int], None]) -> None:
    """`mock.patch` saves our wrapper and brings it back when another is on already."""
    stock = vars(utils)["is_big_gpu"]
    with io.override(min_sms=0):
        with mock.patch.object(utils, "is_big_gpu", foreign):
            assert ask_as_lowering_does() is True
        assert ask_as_lowering_does() is True
    assert vars(utils)["is_big_gpu"] is stock


def test_a_mock_around_a_scope_is_back_after_it(set_sms: Callable[[int], None]) -> None:
    with mock.patch.object(utils, "is_big_gpu", foreign):
        with io.override(min_sms=29):
            assert ask_as_lowering_does() is False
        assert vars(utils)["is_big_gpu"] is foreign


@pytest.fixture(scope="module")
def with_inductor() -> Iterator[Zygote]:
    with Zygote("import torch._dynamo, torch._inductor.compile_fx") as zygote:
        yield zygote


@pytest.mark.slow
@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_a_package_that_assigns_when_it_is_imported(
    first: str, tmp_path: Path, with_inductor: Zygote
) -> None:
    """As unsloth does, in a process of its own, before us or after."""
    (tmp_path / "unsloth_like.py").write_text(
        "import torch._inductor.utils as utils\n"
        "def is_big_gpu(*args): return True\n"
        "utils.is_big_gpu = is_big_gpu\n"
    )
    imports = ["import unsloth_like", "import inductor_override as io; io.enable(min_sms=29)"]
    program = "; ".join(imports if first == "theirs" else reversed(imports)) + PROGRAM
    done = with_inductor.run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True True"
    assert done.stderr.count("is_big_gpu was replaced by unsloth_like.is_big_gpu") == 1


PROGRAM = """
import torch, torch._inductor.utils as utils
torch.compile(lambda x: x @ x)(torch.ones(3, 3))
live = io.status().live
io.disable()
print(live, utils.is_big_gpu is unsloth_like.is_big_gpu)
"""


def theirs_instead(*args: object, **kwargs: object) -> bool:
    return False


theirs_instead.__module__ = "someones_package.kernels"


def test_who_replaces_what_asks_the_gate_is_named(
    monkeypatch: pytest.MonkeyPatch, compiled: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of the package's has a say then."""
    name = CONSUMER
    monkeypatch.setattr(utils, name, vars(utils)[name])
    io.enable(min_sms=0)
    setattr(utils, name, theirs_instead)
    compiled()
    compiled()
    assert io.status().foreign == ("someones_package.kernels.theirs_instead",)
    said = f"{name} was replaced by someones_package.kernels.theirs_instead: it may decide without"
    assert caplog.text.count(said) == 1
    io.disable()
    assert vars(utils)[name] is theirs_instead


def test_what_asks_the_gate_was_replaced_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, CONSUMER, theirs_instead)
    with pytest.raises(io.UnsupportedTorchError, match=r"replaced by someones_package\.kernels"):
        io.enable(min_sms=0)


def test_a_replacement_that_comes_to_ask_the_gate_is_worked_with(
    monkeypatch: pytest.MonkeyPatch, set_sms: Callable[[int], None], no_trace: Snapshot
) -> None:
    """As device plugins do: they pass on what is not for their device."""
    name, torchs_own = CONSUMER, vars(utils)[CONSUMER]

    def plugin(layout: Any, *args: object) -> object:
        if layout.device.type == "someones":
            return True
        return torchs_own(layout, *args)

    plugin.__module__ = "someones_package.plugin"
    monkeypatch.setattr(utils, name, plugin)
    with io.override(min_sms=28):
        assert ask_as_lowering_does() is True
    assert ask_as_lowering_does() is False
    assert vars(utils)[name] is plugin


def test_a_replacement_that_decides_by_itself_is_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name_there = CONSUMER
    monkeypatch.setattr(utils, name_there, theirs_instead)
    with pytest.raises(io.UnsupportedTorchError) as raised:
        io.enable(min_sms=0)
    assert "another package decides" in str(raised.value)
    assert "someones_package.kernels.theirs_instead" in str(raised.value)
    assert "Take that replacement out" in str(raised.value)
    assert "newer inductor-override" not in str(raised.value)
    assert vars(utils)[name_there] is theirs_instead
    assert not io.status().installed
