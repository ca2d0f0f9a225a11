"""Whatever the door, the value is in force where Inductor lowers the graph, and only there.

Compiles for the CPU: the gate is not asked there, but the config that it reads is the same.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch._inductor.config as config
from conftest import InThread
from this_torch import VALUES_PER_THREAD
from torch._inductor.graph import GraphLowering

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"


def training_step(**how: Any) -> torch.Tensor:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    return torch.compile(function, **how)(x, w)


def backward(out: torch.Tensor) -> None:
    out.backward(torch.ones_like(out))


def test_without_us_the_option_is_absent(lowered: list[int | None]) -> None:
    backward(training_step())
    assert lowered == [None, None]


def test_a_scope_covers_forward_and_backward(lowered: list[int | None]) -> None:
    with io.override(min_sms=7):
        backward(training_step())
    assert lowered == [7, 7]


def test_options_cover_forward_and_backward_of_that_model_only(lowered: list[int | None]) -> None:
    backward(training_step(options=io.options(min_sms=7)))
    torch._dynamo.reset()
    backward(training_step())
    assert lowered == [7, 7, -1, -1]


def test_options_rule_over_a_scope_around_them(lowered: list[int | None]) -> None:
    with io.override(min_sms=3) as scope:
        backward(training_step(options=io.options(min_sms=7)))
    assert lowered == [7, 7]
    assert scope.graphs_compiled == 2  # the backward graph is compiled in the scope too


def test_a_mode_given_through_options_is_that_mode(
    lowered: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    run = GraphLowering.run

    def observed(self: GraphLowering, *args: object) -> object:
        modes.append(config.max_autotune)
        return run(self, *args)

    monkeypatch.setattr(GraphLowering, "run", observed)
    backward(training_step(options=io.options(mode="max-autotune", min_sms=7)))
    assert modes == [True, True]
    assert lowered == [7, 7]


def test_enable_is_under_scopes_and_options(lowered: list[int | None]) -> None:
    io.enable(min_sms=5)
    training_step()
    torch._dynamo.reset()
    with io.override(min_sms=3):
        training_step()
    torch._dynamo.reset()
    training_step(options=io.options(min_sms=7))
    torch._dynamo.reset()
    io.disable()
    training_step()
    # Without a backward pass some releases compile the backward graph too, others do not.
    assert [value for value, _ in itertools.groupby(lowered)] == [5, 3, 7, None]


def test_config_patch_is_a_scope_like_any_other(lowered: list[int | None]) -> None:
    io.enable()
    with config.patch({OPTION: 11}):
        backward(training_step())
    assert lowered == [11, 11]


def test_a_thread_has_its_own_value_from_2_12_on(
    lowered: list[int | None], in_thread: InThread
) -> None:
    with io.override(min_sms=7):
        in_thread(training_step)
        seen = set(lowered)
        torch._dynamo.reset()
        training_step()
    assert seen == ({-1} if VALUES_PER_THREAD else {7})
