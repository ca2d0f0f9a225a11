"""What the tests share: a device that is not there, and a torch to compare with.

Only the hardware is stood in for: the device's properties. The gate, the config, Dynamo and the
compiler are torch's own.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import shutil
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from typing import Any

# Before torch: one compile thread keeps a process small, and no test depends on a user's setting.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
# torch would compile C++ for seconds in each process, to learn what this compiler can do.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="inductor-override-tests-")
atexit.register(shutil.rmtree, os.environ["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)
for _name in ("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "INDUCTOR_OVERRIDE_DISABLE"):
    os.environ.pop(_name, None)

import pytest
import torch

_sms = 28


def _properties(device: object = None) -> object:
    return types.SimpleNamespace(
        name="stand-in",
        major=8,
        minor=6,
        multi_processor_count=_sms,
        total_memory=12 << 30,
        warp_size=32,
        max_threads_per_multi_processor=1536,
        regs_per_multiprocessor=65536,
        gcnArchName="",
    )


# torch._dynamo.device_interface keeps references, so before it is imported.
torch.cuda.get_device_properties = _properties
torch.cuda.get_device_capability = lambda device=None: (8, 6)

import torch._dynamo.backends.common
import torch._functorch.config as functorch_config
import torch._inductor.compile_fx
import torch._inductor.config as config
import torch._inductor.utils as utils
from internals import forget_what_was_said, installation
from this_torch import CONFIG_HAS_ENTRIES, GATE_TAKES_DEVICE, VALUES_PER_THREAD
from torch._inductor.graph import GraphLowering

import inductor_override as io

CELL = os.environ.get("INDUCTOR_OVERRIDE_CELL")

# What some of the fixtures are, for the tests that take them.
InThread = Callable[[Callable[[], Any]], Any]
WithinCompileFx = Callable[[Callable[[], AbstractContextManager[object]]], None]


def pytest_configure(config: pytest.Config) -> None:
    """A cell of the matrix proves that it is the cell which it claims to be."""
    if CELL:
        found = f"{importlib.metadata.version('torch')} {io.status().patch_module}"
        if found != CELL:
            pytest.exit(f"this cell claims to be {CELL!r}, and is {found!r}", returncode=3)


@pytest.fixture
def device() -> object:
    """What torch passes to its gate in this release."""
    return torch.device("cuda", 0) if GATE_TAKES_DEVICE else 0


@pytest.fixture
def set_sms() -> Iterator[Callable[[int], None]]:
    """Give the stand-in device another number of SMs. 28 unless told."""

    def set_to(count: int) -> None:
        global _sms
        _sms = count
        _forget()

    set_to(28)
    yield set_to
    set_to(28)


def _forget() -> None:
    stock = utils.is_big_gpu
    while hasattr(stock, "__wrapped__") and not hasattr(type(stock), "cache_clear"):
        stock = stock.__wrapped__
    if hasattr(stock, "cache_clear"):
        stock.cache_clear()
    try:
        from torch._inductor.runtime.hints import DeviceProperties

        DeviceProperties.create.cache_clear()
    except (ImportError, AttributeError):
        pass  # before 2.6


@pytest.fixture
def ask(device: object, set_sms: Callable[[int], None]) -> Callable[[], bool]:
    """Ask as Inductor asks: through torch's module."""
    return lambda: utils.is_big_gpu(device)


class Snapshot:
    """All that un-patching has to bring back."""

    def __init__(self) -> None:
        self.gate = vars(utils)["is_big_gpu"]
        self.functions = {
            (module.__name__, name): value
            for module in (utils, torch._inductor.compile_fx)
            for name, value in vars(module).items()
            if callable(value)
        }
        self.options = dict(config._config)
        self.values = {name: _value(entry) for name, entry in self.options.items()}
        self.attributes = {*vars(config), *vars(type(config))}
        self.caches = {k: v for k, v in vars(config).items() if isinstance(v, ContextVar)}

    def differences(self) -> list[str]:
        now = Snapshot()
        found = []
        if now.gate is not self.gate:
            found.append(f"is_big_gpu is {now.gate!r}, was {self.gate!r}")
        found += [
            f"{where} is another object"
            for where, value in now.functions.items()
            if self.functions.get(where) is not value
        ]
        found += [f"option {name} is new" for name in now.options.keys() - self.options.keys()]
        found += [f"option {name} is gone" for name in self.options.keys() - now.options.keys()]
        found += [
            f"option {name} is {now.values[name]!r}, was {value!r}"
            for name, value in self.values.items()
            if name in now.values and now.values[name] != value
        ]
        if now.attributes != self.attributes:
            found.append(f"attributes of the config: {now.attributes ^ self.attributes}")
        if now.caches != self.caches:
            found.append(f"caches of the config: {now.caches}, were {self.caches}")
        return found


def _value(entry: Any) -> object:
    # What a read gives, without reading: that makes torch keep copies of lists and dicts.
    if not CONFIG_HAS_ENTRIES:
        return entry
    override = entry.user_override.get() if VALUES_PER_THREAD else entry.user_override
    return entry.default if type(override) is object else override


@pytest.fixture(autouse=True)
def no_trace() -> Iterator[Snapshot]:
    """Every test leaves torch as it found it."""
    before = Snapshot()
    forget_what_was_said()
    yield before
    if not installation.holders:
        assert before.differences() == [], "nobody holds it, and it is still there"
    io.disable()
    assert installation.holders["scope"] == 0, "a scope was left open"
    assert before.differences() == []


@pytest.fixture
def compiled() -> Iterator[Callable[..., Any]]:
    """Compile and run a fresh function on the CPU: `compiled(mode=..., options=...)`."""
    torch._dynamo.reset()

    def run(**how: object) -> object:
        def function(x: torch.Tensor) -> torch.Tensor:
            return x @ x  # a product alone: its code needs no C++ compiler

        # Dynamo keeps what it compiled by code object: a new one each time.
        fresh = types.FunctionType(function.__code__.replace(), globals())
        return torch.compile(fresh, **how)(torch.randn(8, 8))

    yield run
    torch._dynamo.reset()


@pytest.fixture
def in_thread() -> Iterator[InThread]:
    """Run something in one other thread, the same one each time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        yield lambda function: pool.submit(function).result(timeout=60)


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int | None]]:
    """The option's value, or None when it is absent, at each lowering. torch's caches are off.

    In every thread: from torch 2.12 on `config.patch` reaches this one only, so the default too.
    """
    seen: list[int | None] = []
    run = GraphLowering.run

    def observed(self: GraphLowering, *args: object) -> object:
        seen.append(getattr(config, "max_autotune_gemm_min_sms", None))
        return run(self, *args)

    monkeypatch.setattr(GraphLowering, "run", observed)
    torch._dynamo.reset()
    with ExitStack() as stack:
        caches = ((config, "fx_graph_cache"), (functorch_config, "enable_autograd_cache"))
        for module, name in caches:
            if name in module._config:
                stack.enter_context(module.patch({name: False}))
                if VALUES_PER_THREAD:
                    monkeypatch.setattr(module._config[name], "default", False)
        yield seen
    torch._dynamo.reset()


@pytest.fixture
def within_compile_fx(
    monkeypatch: pytest.MonkeyPatch,
) -> WithinCompileFx:
    """Give a context in which `compile_fx` does the rest of its work, as torch does itself."""
    common = torch._dynamo.backends.common
    real = common.aot_autograd

    def use(context: Callable[[], AbstractContextManager[object]]) -> None:
        def patched(**compilers: object) -> Callable[..., object]:
            compile_it = real(**compilers)

            def in_context(*args: object, **kwargs: object) -> object:
                with context():
                    return compile_it(*args, **kwargs)

            return in_context

        # Imported by name until 2.12.
        for owner in (common, torch._inductor.compile_fx):
            if vars(owner).get("aot_autograd") is real:
                monkeypatch.setattr(owner, "aot_autograd", patched)

    return use
