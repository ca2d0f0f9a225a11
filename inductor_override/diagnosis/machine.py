"""The facts that advice goes by, as this process finds them."""

from __future__ import annotations

import hashlib
import os
import sys
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from inductor_override import UnsupportedTorchError, enable, status
from inductor_override.catalogue import SHARED_MEMORY_OPTIN, Gpu
from inductor_override.patches import select
from inductor_override.patches.asking import gate_owner
from inductor_override.request.names import COMPILE_FX, CONFIG, TORCH_DECIDES, UTILS

_OPTIONS = (
    *("max_autotune", "max_autotune_gemm", "max_autotune_gemm_backends", "deterministic"),
    *("max_autotune_conv_backends", "max_autotune_prune_choices_based_on_shared_mem"),
    *("max_autotune_gemm_search_space", "precompilation_timeout_seconds", "autotune_in_subproc"),
)


@dataclass(frozen=True)
class Device:
    """One GPU: of this machine, or one that was named.

    Attributes:
        name: as torch or the catalogue has it.
        sms: its streaming multiprocessors.
        capability: (major, minor); None on ROCm.
        shared_memory: what one block may ask for, in bytes; None if torch does not tell.
        passes: whether torch's own gate is open for it; None where torch goes by architecture.
        here: whether the GPU is in this machine.
    """

    name: str
    sms: int
    capability: tuple[int, int] | None
    shared_memory: int | None
    passes: bool | None
    here: bool

    @property
    def capability_text(self) -> str:
        """The compute capability as it is written, such as "8.6"; empty on ROCm."""
        return ".".join(map(str, self.capability or ()))


@dataclass(frozen=True)
class Machine:
    """What torch, its compiler and the environment are like in a process such as this one.

    Attributes:
        torch: its version.
        release: (major, minor) of it.
        triton: its version, None if it is not installed.
        verdict: the first line of `status()`, before anything was asked for here.
        live: whether the override is on without anything being asked for.
        min_sms: the threshold then; None if it is off.
        patch_module: the patch module that serves this torch, None if none does.
        unsupported: why torch cannot be patched, if so.
        stock_min_sms: from how many SMs on torch's own gate is open.
        devices: the GPUs.
        options: values of `torch._inductor.config`; options that torch lacks are left out.
        precision: `torch.get_float32_matmul_precision()`.
        gate_owner: who has replaced `is_big_gpu`; None if it is torch's.
        edited: the file of torch's that is not as it was installed, if one that matters is not.
        problem: what `status()` finds wrong.
        packages: versions of installed packages that have a cache or a gate of their own.
        environment: the environment variables.
        has_driver: whether NVIDIA's driver is here, though torch can use no GPU.
    """

    torch: str
    release: tuple[int, int]
    triton: str | None
    verdict: str
    live: bool
    min_sms: int | None
    patch_module: str | None
    unsupported: str | None
    stock_min_sms: int
    devices: tuple[Device, ...]
    options: dict[str, Any]
    precision: str
    gate_owner: str | None = None
    edited: str | None = None
    problem: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    has_driver: bool = False


def look(named: tuple[Gpu, ...] = ()) -> Machine:
    """Gather the facts; imports torch and its compiler.

    Args:
        named: GPUs to give advice for instead of those that are here.

    Raises:
        ImportError: torch, or its compiler, cannot be imported.
    """
    torch = import_module("torch")
    config, utils = import_module(CONFIG), import_module(UTILS)
    import_module(COMPILE_FX)
    before = status()
    on = before.min_sms is not None and before.min_sms != TORCH_DECIDES
    owner = gate_owner(utils)
    patch = select.serving(torch.__version__) or select.newest()
    threshold = patch.stock_min_sms["cuda"]
    devices = tuple(
        Device(
            gpu.name,
            gpu.sms,
            gpu.compute_capability,
            gpu.shared_memory_optin,
            gpu.sms >= threshold,
            here=False,
        )
        for gpu in named
    )
    unsupported = None
    try:
        enable()
    except UnsupportedTorchError as error:
        unsupported = str(error)
    return Machine(
        torch=torch.__version__,
        release=select.release_of(torch.__version__) or (0, 0),
        triton=_version("triton"),
        verdict=before.verdict,
        live=on,
        min_sms=before.min_sms if on else None,
        patch_module=status().patch_module,
        unsupported=unsupported,
        stock_min_sms=threshold,
        devices=devices or _devices(torch, threshold),
        options={name: getattr(config, name) for name in _OPTIONS if hasattr(config, name)},
        precision=torch.get_float32_matmul_precision(),
        gate_owner=owner,
        edited=_edited(utils.__file__),
        problem=before.problem,
        packages={name: found for name in ("vllm",) if (found := _version(name))},
        environment=dict(os.environ),
        has_driver=not torch.cuda.is_available() and Path("/proc/driver/nvidia/version").exists(),
    )


def _devices(torch: Any, threshold: int) -> tuple[Device, ...]:
    if not torch.cuda.is_available():
        return ()
    found = []
    for index in range(torch.cuda.device_count()):
        seen = torch.cuda.get_device_properties(index)
        rocm = torch.version.hip is not None
        capability = None if rocm else (seen.major, seen.minor)
        shared = getattr(seen, "shared_memory_per_block_optin", None)
        shared = shared or (SHARED_MEMORY_OPTIN.get(capability) if capability else None)
        sms = seen.multi_processor_count
        passes = None if rocm else sms >= threshold
        found.append(Device(seen.name, sms, capability, shared, passes, here=True))
    return tuple(found)


def _edited(file: str | None) -> str | None:
    """The file, if it is not what the installer wrote: someone has edited torch."""
    try:
        installed = metadata.files("torch") or []
    except metadata.PackageNotFoundError:
        return None
    for each in installed:
        if each.hash is not None and str(each).endswith("torch/_inductor/utils.py"):
            path = Path(str(each.locate()))
            if file is None or path.resolve() != Path(file).resolve():
                return None
            digest = hashlib.new(each.hash.mode, path.read_bytes()).digest()
            same = urlsafe_b64encode(digest).rstrip(b"=").decode() == each.hash.value
            return None if same else str(path)
    return None


def _version(package: str) -> str | None:
    module = sys.modules.get(package)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return getattr(module, "__version__", None)
