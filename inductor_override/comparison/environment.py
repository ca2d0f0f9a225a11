"""Where a comparison was made: what two result files are told apart by."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_READ_BY_TORCH = ("TORCH", "TRITON", "CUDA_", "PYTORCH_", "OMP_", "MKL_")
_OWN_FOLDERS = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


def environment_of_command() -> dict[str, Any]:
    """The same, as far as it is known without torch: a command imports its own."""
    return {
        "device": ", ".join(_gpus_of_driver()) or _cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "triton")},
        "inductor_override": _version("inductor-override"),
        "driver": _driver(),
    }


def _gpus_of_driver() -> list[str]:
    found = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = file.read_text("utf-8", "replace").splitlines()
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return found


def environment(device: str) -> dict[str, Any]:
    """Versions, the device, and the variables that torch may read. For a process with torch."""
    import torch

    found: dict[str, Any] = {
        "device": _cpu(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": _version("triton"),
        "inductor_override": _version("inductor-override"),
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_READ_BY_TORCH) and name not in _OWN_FOLDERS
        },
    }
    if device == "cuda":
        of = torch.cuda.get_device_properties(0)
        found |= {
            "device": of.name,
            "sms": of.multi_processor_count,
            "capability": f"{of.major}.{of.minor}",
            "cuda": torch.version.cuda,
            "driver": _driver(),
        }
    return found


def vector_code_can_be_compiled() -> bool:
    """Whether Inductor's check of this machine's compiler passes for all vector instructions here.

    The check compiles C++ for seconds in each process whose caches are empty, and is no part of
    what is compared: the others can be told its result.
    """
    try:
        from torch._inductor import config, cpu_vec_isa
    except ImportError:  # before torch 2.5
        return False
    checked = list(map(str, cpu_vec_isa.valid_vec_isa_list()))
    cpu_vec_isa.valid_vec_isa_list.cache_clear()
    with config.patch({"cpp.vec_isa_ok": True}):
        return checked == list(map(str, cpu_vec_isa.valid_vec_isa_list()))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _driver() -> str | None:
    try:
        with open("/proc/driver/nvidia/version", encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return None


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
