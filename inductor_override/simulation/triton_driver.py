"""The stand-in for Triton's active driver: it names the target, and launches nothing."""

from __future__ import annotations

from importlib import util
from typing import Any

from inductor_override.simulation import cuda_runtime


class _Utils:
    def get_device_properties(self, device: int) -> dict[str, int]:
        gpu = cuda_runtime.properties
        return {
            "max_shared_mem": gpu.shared_memory_per_block_optin,
            "multiprocessor_count": gpu.multi_processor_count,
            "max_num_regs": gpu.regs_per_multiprocessor,
            "warpSize": gpu.warp_size,
        }


class StandInDriver:
    """What Inductor and Triton ask of a driver before anything is launched."""

    utils = _Utils()

    def get_current_target(self) -> Any:
        """The simulated GPU, as Triton names targets."""
        from triton.backends.compiler import GPUTarget

        gpu = cuda_runtime.properties
        return GPUTarget("cuda", gpu.major * 10 + gpu.minor, gpu.warp_size)

    def get_current_device(self) -> int:
        """The index of the only device."""
        return 0

    def get_current_stream(self, device: int | None = None) -> int:
        """The default stream."""
        return 0

    def get_device_interface(self) -> Any:
        """The module that speaks for the device: `torch.cuda`."""
        import torch

        return torch.cuda


def install() -> None:
    """Make the stand-in Triton's active driver, for good."""
    # Triton 2.0 has no driver, and until 3.0 nothing asks it before a kernel is launched.
    if util.find_spec("triton.runtime.driver") is None:
        return
    from triton.runtime.driver import driver

    # On the class: until 3.0 the object makes a real driver for whatever it is asked.
    if hasattr(type(driver), "set_active"):
        driver.set_active(StandInDriver())
