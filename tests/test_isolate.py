"""What Dynamo keeps across the ends of a scope, and `isolate=True`, which makes it forget."""

from __future__ import annotations

import pytest
import torch

import inductor_override as io


def test_isolate_keeps_both_codes_apart(lowered: list[int | None]) -> None:
    function = torch.compile(lambda x: x @ x)
    function(torch.ones(3, 3))
    for value in (3, 4):
        with io.override(min_sms=value, isolate=True):
            function(torch.ones(3, 3))
        function(torch.ones(3, 3))
    with pytest.raises(KeyError), io.override(min_sms=5, isolate=True):
        function(torch.ones(3, 3))
        raise KeyError

    @io.override(min_sms=6, isolate=True)
    def step() -> None:
        function(torch.ones(3, 3))

    step()
    function(torch.ones(3, 3))
    assert lowered == [None, 3, None, 4, None, 5, 6, None]


def test_what_was_compiled_in_a_scope_keeps_its_code_after_it(lowered: list[int | None]) -> None:
    function = torch.compile(lambda x: x @ x)
    with io.override(min_sms=3):
        function(torch.ones(3, 3))
    function(torch.ones(3, 3))
    io.enable(min_sms=4)
    function(torch.ones(3, 3))
    assert lowered == [3]


def test_isolate_compiles_again_inside_and_again_outside() -> None:
    torch._dynamo.reset()
    function = torch.compile(lambda x: x @ x)
    function(torch.ones(3, 3))
    with io.override(min_sms=0) as outer, io.override(min_sms=1, isolate=True) as inner:
        function(torch.ones(3, 3))
    assert inner.graphs_compiled == 1
    with io.override(min_sms=2) as after:
        function(torch.ones(3, 3))
    assert after.graphs_compiled == 1
    assert outer.graphs_compiled == 1
