"""Which GPU is simulated, and what torch thinks of it."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inductor_override.catalogue import Gpu
from inductor_override.simulation import cuda_runtime, indexing, selection, toolchain, triton_driver
from inductor_override.simulation.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_installed: Gpu | None = None

# More SMs than any GPU has: a threshold above this one is none that a GPU could pass.
_MOST_SMS = 1024


def install_gpu(gpu: Gpu, *, sms: int | None = None) -> Gpu:
    """Make this process believe that `gpu` is its only GPU, and return it as installed.

    `sms` replaces the number of SMs.  The stand-ins stay for the life of the process; another call
    puts another GPU in place of the first.

    Raises:
        ToolchainError: torch or Triton is missing, too old, or not the one that the other wants.
        SimulationError: torch._dynamo or torch._inductor is imported already.
    """
    global _installed
    if sms is not None:
        # Inductor's FX graph cache tells GPUs apart by their names.
        gpu = dataclasses.replace(gpu, name=f"{gpu.name} ({sms} SMs)", sms=sms)
    if _installed is None:
        found = toolchain.check()
        cuda_runtime.describe(gpu)
        try:
            cuda_runtime.install()
            indexing.install()
            triton_driver.install()
            selection.install(found.torch)
        except ModuleNotFoundError as error:
            raise toolchain.missing_module(error) from error
    cuda_runtime.describe(gpu)
    _forget_hardware()
    _installed = gpu
    return gpu


def installed_gpu() -> Gpu:
    """The GPU that is simulated in this process.

    Raises:
        SimulationError: none is; call `install_gpu` first.
    """
    if _installed is None:
        raise SimulationError("no simulated GPU is installed in this process: call install_gpu")
    return _installed


def gate_is_open() -> bool:
    """What `is_big_gpu` says of the simulated GPU at this moment, override included."""
    from torch._inductor import utils

    installed_gpu()
    return bool(utils.is_big_gpu(0))


def gate_threshold() -> int | None:
    """The fewest SMs that torch's own `is_big_gpu` lets through; None if it lets none through.

    Measured, by asking torch's function about GPUs of other sizes: the number is in no table here.
    """
    from torch._inductor import utils

    gpu = installed_gpu()
    torchs_own = inspect.unwrap(utils.is_big_gpu)

    def passes(sms: int) -> bool:
        cuda_runtime.properties.multi_processor_count = sms
        _forget_hardware()
        return bool(torchs_own(0))

    with _silenced("torch._inductor.utils"):
        try:
            if not passes(_MOST_SMS):
                return None
            low, high = 0, _MOST_SMS
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if passes(middle) else (middle, high)
            return high
        finally:
            cuda_runtime.describe(gpu)
            _forget_hardware()


def _forget_hardware() -> None:
    """Drop what torch has cached about the GPU.

    Only from modules whose cached functions do nothing but look things up: elsewhere in Inductor a
    cached function may register something, and must run once.
    """
    from torch._inductor import codecache, utils

    owners = [
        utils,
        getattr(utils, "DeviceProperties", None),
        getattr(codecache, "CacheBase", None),
        sys.modules.get("torch.utils._triton"),
    ]
    for owner in owners:
        for attribute in list(vars(owner)) if owner is not None else ():
            cached = getattr(owner, attribute)
            while cached is not None:
                if callable(getattr(cached, "cache_clear", None)):
                    cached.cache_clear()
                cached = getattr(cached, "__wrapped__", None)


@contextmanager
def _silenced(logger: str) -> Iterator[None]:
    log = logging.getLogger(logger)
    log.addFilter(_drop)
    try:
        yield
    finally:
        log.removeFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    return False
