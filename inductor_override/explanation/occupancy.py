"""How many thread blocks of a kernel one SM holds at a time, and in how many waves they run.

The limits are from NVIDIA's CUDA Programming Guide, appendix "Compute Capabilities", and the
formula is that of NVIDIA's `cuda_occupancy.h`. Occupancy is no measure of speed: a kernel with less
of it can be the faster one.
"""

from __future__ import annotations

from typing import NamedTuple

REGISTERS = 65_536
"""Per SM, and the most that one block may have. The same for every capability from 7.0 on."""
_RESERVED = 1_024
"""Bytes of shared memory per block that CUDA keeps for itself from 8.0 on."""


class Limits(NamedTuple):
    """What one SM holds."""

    blocks: int
    warps: int
    shared_memory: int
    """Bytes."""


LIMITS = {
    **dict.fromkeys([(7, 0), (7, 2)], Limits(32, 64, 96 << 10)),
    (7, 5): Limits(16, 32, 64 << 10),
    (8, 0): Limits(32, 64, 164 << 10),
    (8, 6): Limits(16, 48, 100 << 10),
    (8, 7): Limits(16, 48, 164 << 10),
    (8, 9): Limits(24, 48, 100 << 10),
    **dict.fromkeys([(9, 0), (10, 0), (10, 3)], Limits(32, 64, 228 << 10)),
    (11, 0): Limits(24, 48, 228 << 10),
    **dict.fromkeys([(12, 0), (12, 1)], Limits(24, 48, 100 << 10)),
}


def blocks_per_sm(
    capability: tuple[int, int], *, threads: int, registers: int, shared_memory: int
) -> int:
    """Thread blocks that one SM holds at a time; 0 where the capability is not known.

    Args:
        threads: per block.
        registers: per thread.
        shared_memory: bytes per block.
    """
    limits = LIMITS.get(capability)
    if limits is None or not threads:
        return 0
    warps = -(-threads // 32)
    by_warps = limits.warps // warps
    per_warp = -(-32 * max(registers, 1) // 256) * 256
    by_registers = (REGISTERS // per_warp // 4 * 4) // warps
    reserved = _RESERVED if capability >= (8, 0) else 0
    needed = -(-(shared_memory + reserved) // 128) * 128
    by_memory = limits.shared_memory // needed if needed else limits.blocks
    return min(limits.blocks, by_warps, by_registers, by_memory)


def waves(blocks: int, per_sm: int, sms: int) -> float | None:
    """How often the GPU is filled until all blocks have run; None where it holds none at all."""
    return blocks / (per_sm * sms) if per_sm and sms else None
