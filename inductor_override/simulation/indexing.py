"""Stand-ins for what selects the device of a tensor: `x[i]`, `~x` and `x.copy_(y)`.

Their C++ bindings set the current CUDA device first, also for a fake
tensor, and that fails where no CUDA driver is. The operators that these functions call do not.
"""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Put them on `torch.Tensor`, for good. Tensors on other devices are left to torch."""
    import torch

    torchs_getitem, torchs_invert = torch.Tensor.__getitem__, torch.Tensor.__invert__
    torchs_copy = torch.Tensor.copy_

    def getitem(self: Any, index: Any) -> Any:
        if self.device.type != "cuda":
            return torchs_getitem(self, index)
        return _indexed(self, index if isinstance(index, tuple) else (index,))

    def invert(self: Any) -> Any:
        return torch.bitwise_not(self) if self.device.type == "cuda" else torchs_invert(self)

    def copy_(self: Any, source: Any, non_blocking: bool = False) -> Any:
        if self.device.type != "cuda":
            return torchs_copy(self, source, non_blocking)
        return torch.ops.aten.copy_.default(self, source, non_blocking)

    torch.Tensor.__getitem__ = getitem  # type: ignore[method-assign,assignment,unused-ignore]
    torch.Tensor.__invert__ = invert  # type: ignore[method-assign,assignment,unused-ignore]
    torch.Tensor.copy_ = copy_  # type: ignore[method-assign,assignment,unused-ignore]


def _indexed(tensor: Any, index: tuple[Any, ...]) -> Any:
    """`tensor[index]` for numbers, slices, None, `...`, and tensors."""
    import torch

    aten = torch.ops.aten
    if not any(each is Ellipsis for each in index):
        index = (*index, Ellipsis)
    # Of a mask torch's list has one place for all its dimensions.
    dimension, within_masks, by_tensor = 0, 0, {}
    for each in index:
        if each is None:
            tensor = aten.unsqueeze.default(tensor, dimension)
            dimension += 1
        elif each is Ellipsis:
            dimension += tensor.dim() - dimension - _after_ellipsis(index)
        elif isinstance(each, slice):
            tensor = aten.slice.Tensor(tensor, dimension, each.start, each.stop, each.step or 1)
            dimension += 1
        elif isinstance(each, torch.Tensor):
            by_tensor[dimension - within_masks] = each
            dimension += _dimensions_of(each)
            within_masks += _dimensions_of(each) - 1
        else:
            tensor = aten.select.int(tensor, dimension, each)
    if not by_tensor:
        return aten.alias.default(tensor)
    return aten.index.Tensor(tensor, [by_tensor.get(d) for d in range(max(by_tensor) + 1)])


def _dimensions_of(each: Any) -> int:
    import torch

    if each is None or each is Ellipsis:
        return 0
    if isinstance(each, torch.Tensor) and each.dtype in (torch.bool, torch.uint8):
        return int(each.dim())
    return 1


def _after_ellipsis(index: tuple[Any, ...]) -> int:
    """How many dimensions the parts after the `...` take."""
    after = index[[each is Ellipsis for each in index].index(True) + 1 :]
    return sum(_dimensions_of(each) for each in after)
