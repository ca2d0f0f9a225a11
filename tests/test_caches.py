"""Stock and override never share a compiled artifact, and each finds its own again.

Torch's own caches on disk, filled and asked by torch's own compiler. On the CPU: what is compared
is the cache's key, and the config in it, which is the same for every device.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading

import pytest
import torch
import torch._inductor.config as config
from conftest import RELEASE
from torch._dynamo.utils import counters

import inductor_override as io

pytestmark = [
    pytest.mark.skipif(RELEASE < (2, 3), reason="the FX graph cache works from torch 2.3 on"),
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
]

HAS_AOT_CACHE = RELEASE >= (2, 6)


sizes = itertools.count(3)


@pytest.fixture
def step():
    """Compile one training step anew and say what the caches said: `{"fx": ..., "aot": ...}`."""
    n = next(sizes)  # a graph of its own for each test; a product alone needs no C++ compiler

    def function(x, w):
        return x @ w

    def compile_and_run(**how) -> dict[str, str]:
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
def aot_cache():
    if not HAS_AOT_CACHE:
        pytest.skip("the AOTAutograd cache came with torch 2.6")
    import torch._functorch.config as functorch_config

    with functorch_config.patch({"enable_autograd_cache": True}):
        yield


def sequence(step) -> list[dict[str, str]]:
    seen = []
    for turn in range(4):
        if turn % 2:
            with io.override(min_sms=0):
                seen.append(step())
        else:
            seen.append(step())
    return seen


def test_fx_graph_cache_miss_miss_hit_hit(step):
    assert [s["fx"] for s in sequence(step)] == ["miss", "miss", "hit", "hit"]


def test_fx_graph_cache_in_a_thread_that_had_compiled_before(step, in_thread):
    in_thread(lambda: step(options={"shape_padding": False}))
    seen = in_thread(lambda: sequence(step))
    assert [s["fx"] for s in seen] == ["miss", "miss", "hit", "hit"]


def test_each_threshold_has_artifacts_of_its_own(step):
    for min_sms in (1, 2):
        with io.override(min_sms=min_sms):
            assert step()["fx"] == "miss"
    with io.override(min_sms=1):
        assert step()["fx"] == "hit"


def test_scope_options_and_enable_with_one_value_share_artifacts(step):
    with io.override(min_sms=5):
        assert step()["fx"] == "miss"
    assert step(options=io.options(min_sms=5))["fx"] == "hit"
    io.disable()
    io.enable(min_sms=5)
    assert step()["fx"] == "hit"


def test_autograd_cache_miss_miss_hit_hit(step, aot_cache):
    assert [s["aot"] for s in sequence(step)] == ["miss", "miss", "hit", "hit"]


def test_a_hit_counts_as_compiled_in_the_scope(step, aot_cache):
    with io.override(min_sms=0):
        step()
    with io.override(min_sms=0) as scope:
        assert step()["aot"] == "hit"
    assert scope.graphs_compiled == 1


CHILD = """
import json, sys, torch
import inductor_override as io
import torch._inductor.config as config
config.fx_graph_cache = True
try:
    import torch._functorch.config as functorch_config
    functorch_config.enable_autograd_cache = True
except Exception:
    pass
from torch._dynamo.utils import counters
def function(x, w):
    return x @ w
def step():
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    torch.compile(function)(x, w).backward(torch.ones(4, 4))
if sys.argv[1] == "stock":
    step()
else:
    with io.override(min_sms=int(sys.argv[1])):
        step()
print(json.dumps({k: dict(v) for k, v in counters.items()}))
"""


def test_across_processes_that_share_a_folder(tmp_path):
    def child(what: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, what],
            env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        fx, aot = found.get("inductor", {}), found.get("aot_autograd", {})
        hits = fx.get("fxgraph_cache_hit", 0) + aot.get("autograd_cache_hit", 0)
        misses = fx.get("fxgraph_cache_miss", 0) + aot.get("autograd_cache_miss", 0)
        return "hit" if hits and not misses else "miss"

    assert [child(what) for what in ("0", "stock", "0")] == ["miss", "miss", "hit"]


PORTABLE = hasattr(getattr(torch, "compiler", None), "save_cache_artifacts")


@pytest.mark.skipif(not PORTABLE, reason="torch.compiler.save_cache_artifacts came with 2.7")
def test_artifacts_saved_under_the_override_serve_only_under_it(step, tmp_path, monkeypatch):
    """Tune once, ship the result: a fresh folder stands for the other machine."""
    from torch.compiler._cache import CacheArtifactManager

    def elsewhere(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))

    clear = getattr(CacheArtifactManager, "clear", lambda: None)
    clear()
    elsewhere("first")
    with io.override(min_sms=0):
        assert step()["fx"] == "miss"
    artifacts, _ = torch.compiler.save_cache_artifacts()
    elsewhere("second")
    clear()
    torch.compiler.load_cache_artifacts(artifacts)
    assert step()["fx"] == "miss"
    with io.override(min_sms=0):
        assert step()["fx"] in ("hit", "-")  # "-": the AOTAutograd cache answered before it
        assert told()["aot"] in ("hit", "-")
        assert "hit" in told().values()


def test_a_lock_does_not_hold_up_a_compile_elsewhere(step):
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


@pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")
def test_a_cache_that_does_not_know_options_is_named(caplog):
    """Dynamo's own keeps whole functions; no scope counts what comes from it."""
    import torch._dynamo.config as dynamo_config

    if "caching_precompile" not in dynamo_config._config:
        pytest.skip("caching_precompile came with torch 2.8")
    with dynamo_config.patch(caching_precompile=True):
        with io.override(min_sms=0):
            pass
    with io.override(min_sms=0):
        pass
    said = [record.getMessage() for record in caplog.records if "precompile" in record.getMessage()]
    assert len(said) == 1
    assert "TORCHINDUCTOR_CACHE_DIR" in said[0]
