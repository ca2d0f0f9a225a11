"""Stock and override never share a compiled artifact, and each finds its own again.

Torch's own caches on disk, filled and asked by torch's own compiler. On the CPU: what is compared
is the cache's key, and the config in it, which is the same for every device.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._inductor.config as config
from conftest import InThread
from this_torch import HAS_AOT_CACHE, HAS_FX_CACHE, VALUES_PER_THREAD
from torch._dynamo.utils import counters

import inductor_override as io

pytestmark = [
    pytest.mark.skipif(not HAS_FX_CACHE, reason="the FX graph cache works from torch 2.3 on"),
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
]


sizes = itertools.count(3)
Step = Callable[..., dict[str, str]]


@pytest.fixture
def step() -> Iterator[Step]:
    """Compile one training step anew and say what the caches said: `{"fx": ..., "aot": ...}`."""
    n = next(sizes)  # a graph of its own for each test; a product alone needs no C++ compiler

    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    def compile_and_run(**how: Any) -> dict[str, str]:
        torch._dynamo.reset()
        counters.clear()
        x, w = torch.randn(n, n), torch.randn(n, n, requires_grad=True)
        torch.compile(function, **how)(x, w).backward(torch.ones(n, n))
        return told()

    caches = {"fx_graph_cache": True}
    if "fx_graph_remote_cache" in config._config:
        caches["fx_graph_remote_cache"] = False
    with config.patch(caches):
        yield compile_and_run
    torch._dynamo.reset()


def told() -> dict[str, str]:
    said = {}
    for name, group, prefix in (
        ("fx", "inductor", "fxgraph_cache"),
        ("aot", "aot_autograd", "autograd_cache"),
    ):
        hits, misses = (counters[group].get(f"{prefix}_{what}", 0) for what in ("hit", "miss"))
        said[name] = "hit" if hits and not misses else "miss" if misses and not hits else "-"
    return said


@pytest.fixture
def aot_cache() -> Iterator[None]:
    if not HAS_AOT_CACHE:
        pytest.skip("the AOTAutograd cache came with torch 2.6")
    import torch._functorch.config as functorch_config

    with functorch_config.patch({"enable_autograd_cache": True}):
        yield


def sequence(step: Step) -> list[dict[str, str]]:
    seen = []
    for turn in range(4):
        if turn % 2:
            with io.override(min_sms=0):
                seen.append(step())
        else:
            seen.append(step())
    return seen


def test_fx_graph_cache_miss_miss_hit_hit(step: Step) -> None:
    assert [s["fx"] for s in sequence(step)] == ["miss", "miss", "hit", "hit"]


def test_fx_graph_cache_in_a_thread_that_had_compiled_before(
    step: Step, in_thread: InThread
) -> None:
    in_thread(lambda: step(options={"shape_padding": False}))
    seen = in_thread(lambda: sequence(step))
    assert [s["fx"] for s in seen] == ["miss", "miss", "hit", "hit"]


def test_each_threshold_has_artifacts_of_its_own(step: Step) -> None:
    for min_sms in (1, 2):
        with io.override(min_sms=min_sms):
            assert step()["fx"] == "miss"
    with io.override(min_sms=1):
        assert step()["fx"] == "hit"


def test_scope_options_and_enable_with_one_value_share_artifacts(step: Step) -> None:
    with io.override(min_sms=5):
        assert step()["fx"] == "miss"
    assert step(options=io.options(min_sms=5))["fx"] == "hit"
    io.disable()
    io.enable(min_sms=5)
    assert step()["fx"] == "hit"


def test_autograd_cache_miss_miss_hit_hit(step: Step, aot_cache: None) -> None:
    assert [s["aot"] for s in sequence(step)] == ["miss", "miss", "hit", "hit"]


def test_a_hit_counts_as_compiled_in_the_scope(step: Step, aot_cache: None) -> None:
    with io.override(min_sms=0):
        step()
    with io.override(min_sms=0) as scope:
        assert step()["aot"] == "hit"
    assert scope.graphs_compiled == 1


def test_a_lock_does_not_hold_up_a_compile_elsewhere(step: Step) -> None:
    """Scopes come and go in one thread while another compiles: neither fails."""
    stop = threading.Event()
    failures = []

    def come_and_go() -> None:
        try:
            # Not without a pause: the compile would get the interpreter only every few ms.
            while not stop.wait(0.0002):
                with io.override(min_sms=0):
                    pass
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(4):
            step(options={"shape_padding": False})
    finally:
        stop.set()
        thread.join(60)
    assert failures == []


def test_status_names_a_cache_that_does_not_know_options() -> None:
    """Dynamo's own keeps whole functions; no scope counts what comes from it."""
    import torch._dynamo.config as dynamo_config

    if "caching_precompile" not in dynamo_config._config:
        pytest.skip("caching_precompile came with torch 2.8")
    assert io.status().problem is None
    with dynamo_config.patch(caching_precompile=True):
        assert "TORCHINDUCTOR_CACHE_DIR" in (io.status().problem or "")


@pytest.mark.skipif(not VALUES_PER_THREAD, reason="until 2.11 options are for the whole process")
def test_a_thread_without_a_scope_is_served_torchs_own_artifacts(
    step: Step, aot_cache: None, in_thread: InThread
) -> None:
    """While another thread has one open, and after a plain `enable`."""

    def there() -> dict[str, str]:
        with config.patch({"fx_graph_cache": True, "fx_graph_remote_cache": False}):
            return step()

    assert "miss" in in_thread(there).values()
    with io.override(min_sms=0):
        assert "miss" not in in_thread(there).values()
    io.enable()
    assert "miss" not in in_thread(there).values()


def test_a_plain_enable_leaves_torchs_own_artifacts_in_use(step: Step) -> None:
    assert step()["fx"] == "miss"
    io.enable()
    assert step()["fx"] == "hit"
