"""Whatever the door, the value is in force where Inductor lowers the graph, and only there.

Compiles for the CPU: the gate is not asked there, but the config that it reads is the same.
"""

from __future__ import annotations

import itertools

import torch
import torch._inductor.config as config
from this_torch import VALUES_PER_THREAD
from torch._inductor.graph import GraphLowering

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"


def training_step(**how):
    def function(x, w):
        return x @ w

    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    return torch.compile(function, **how)(x, w)


def backward(out):
    out.backward(torch.ones_like(out))


def test_without_us_the_option_is_absent(lowered):
    backward(training_step())
    assert lowered == [None, None]


def test_a_scope_covers_forward_and_backward(lowered):
    with io.override(min_sms=7):
        backward(training_step())
    assert lowered == [7, 7]


def test_options_cover_forward_and_backward_of_that_model_only(lowered):
    backward(training_step(options=io.options(min_sms=7)))
    torch._dynamo.reset()
    backward(training_step())
    assert lowered == [7, 7, -1, -1]


def test_options_rule_over_a_scope_around_them(lowered):
    with io.override(min_sms=3) as scope:
        backward(training_step(options=io.options(min_sms=7)))
    assert lowered == [7, 7]
    assert scope.graphs_compiled == 2  # the backward graph is compiled in the scope too


def test_a_mode_given_through_options_is_that_mode(lowered, monkeypatch):
    modes = []
    run = GraphLowering.run

    def observed(self, *args):
        modes.append(config.max_autotune)
        return run(self, *args)

    monkeypatch.setattr(GraphLowering, "run", observed)
    backward(training_step(options=io.options(mode="max-autotune", min_sms=7)))
    assert modes == [True, True]
    assert lowered == [7, 7]


def test_enable_is_under_scopes_and_options(lowered):
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


def test_config_patch_is_a_scope_like_any_other(lowered):
    io.enable()
    with config.patch({OPTION: 11}):
        backward(training_step())
    assert lowered == [11, 11]


def test_a_thread_has_its_own_value_from_2_12_on(lowered, in_thread):
    with io.override(min_sms=7):
        in_thread(training_step)
        seen = set(lowered)
        torch._dynamo.reset()
        training_step()
    assert seen == ({-1} if VALUES_PER_THREAD else {7})
