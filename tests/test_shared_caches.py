"""Processes that share a cache folder, or take each other's artifacts: tune once, ship it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from this_torch import HAS_AOT_CACHE, HAS_FX_CACHE
from zygote import Zygote

pytestmark = pytest.mark.skipif(not HAS_FX_CACHE, reason="the FX graph cache works from 2.3 on")
PORTABLE = hasattr(getattr(torch, "compiler", None), "save_cache_artifacts")

CHILD = """
import json, sys, torch, torch._dynamo
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
what, load, save = sys.argv[1:]
if load:
    torch.compiler.load_cache_artifacts(open(load, "rb").read())
if what == "stock":
    step()
else:
    with io.override(min_sms=int(what)):
        step()
if save:
    open(save, "wb").write(torch.compiler.save_cache_artifacts()[0])
groups = ("inductor", "fxgraph_cache"), ("aot_autograd", "autograd_cache")
print(json.dumps([[counters[g].get(f"{c}_{w}", 0) for w in ("hit", "miss")] for g, c in groups]))
"""


@pytest.fixture(scope="module")
def compile_there() -> Iterator[Callable[..., str]]:
    """One training step in a process of its own: "hit" or "miss", forward and backward alike."""

    def compile_it(folder: Path, what: str, load: Path | str = "", save: Path | str = "") -> str:
        done = zygote.run(CHILD, what, str(load), str(save), TORCHINDUCTOR_CACHE_DIR=str(folder))
        assert done.returncode == 0, done.stderr
        fx, aot = json.loads(done.stdout.splitlines()[-1])
        hits, misses = fx[0] + aot[0], fx[1] + aot[1]
        assert bool(hits) != bool(misses), (fx, aot)
        assert sum(fx) in (0, 2)  # 0: the AOTAutograd cache answered before it
        assert sum(aot) == 1 or not HAS_AOT_CACHE
        return "hit" if hits else "miss"

    with Zygote("import torch, torch._dynamo, torch._inductor.compile_fx") as zygote:
        yield compile_it


@pytest.mark.slow
def test_processes_that_share_a_folder_find_their_own_again(
    compile_there: Callable[..., str], tmp_path: Path
) -> None:
    seen = [compile_there(tmp_path, what) for what in ("0", "stock", "0", "stock")]
    assert seen == ["miss", "miss", "hit", "hit"]


@pytest.mark.slow
@pytest.mark.skipif(not PORTABLE, reason="torch.compiler.save_cache_artifacts came with 2.7")
def test_artifacts_are_hit_under_the_same_override_and_not_without_it(
    compile_there: Callable[..., str], tmp_path: Path
) -> None:
    ours, stock = tmp_path / "ours.bin", tmp_path / "stock.bin"
    folders = (tmp_path / name for name in "abcd")
    assert compile_there(next(folders), "0", save=ours) == "miss"
    assert compile_there(next(folders), "0", load=ours) == "hit"
    assert compile_there(next(folders), "stock", load=ours, save=stock) == "miss"
    # It saved what it had loaded too.
    assert compile_there(next(folders), "1", load=stock) == "miss"
