"""One GEMM or convolution that a user asks about by its sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

OPS = ("mm", "addmm", "bmm", "baddbmm", "linear", "conv2d")
EPILOGUES = ("none", "relu", "gelu", "silu", "bias+gelu")
DTYPES = ("float16", "bfloat16", "float32")
DTYPE_ALIASES = {
    "half": "float16",
    "fp16": "float16",
    "f16": "float16",
    "bf16": "bfloat16",
    "float": "float32",
    "fp32": "float32",
    "f32": "float32",
}


@dataclass(frozen=True)
class Problem:
    """A product of an m x k and a k x n matrix, and what is done to each element of it.

    Of `linear` the weight is n x k, as torch.nn.Linear keeps it. A `conv2d` has a 3 x 3 kernel with
    padding, k channels in and n channels out, over one image of m pixels.

    Attributes:
        batch: how many products at once, for `bmm` and `baddbmm`.
        dtype: of all tensors.
    """

    m: int
    k: int
    n: int
    op: str = "mm"
    epilogue: str = "relu"
    dtype: str = "float16"
    batch: int = 1

    @property
    def text(self) -> str:
        """The problem as Python would write it: `relu(a @ b)`."""
        product = {
            "mm": "a @ b",
            "addmm": "addmm(c, a, b)",
            "bmm": "bmm(a, b)",
            "baddbmm": "baddbmm(c, a, b)",
            "linear": "linear(a, w)",
            "conv2d": "conv2d(a, w)",
        }[self.op]
        if self.epilogue == "none":
            return product
        if self.epilogue == "bias+gelu":
            return f"gelu({product} + bias)"
        return f"{self.epilogue}({product})"

    @property
    def sizes(self) -> list[tuple[int, ...]]:
        """The sizes of the inputs, in the order in which `compute` takes them."""
        m, k, n, batch = self.m, self.k, self.n, self.batch
        by_op: dict[str, list[tuple[int, ...]]] = {
            "mm": [(m, k), (k, n)],
            "addmm": [(n,), (m, k), (k, n)],
            "bmm": [(batch, m, k), (batch, k, n)],
            "baddbmm": [(batch, m, n), (batch, m, k), (batch, k, n)],
            "linear": [(m, k), (n, k)],
            "conv2d": [(1, k, *_image(m)), (n, k, 3, 3)],
        }
        sizes = by_op[self.op]
        if self.epilogue == "bias+gelu":
            sizes = [*sizes, (n, 1, 1) if self.op == "conv2d" else (n,)]
        return sizes

    def compute(self, *inputs: Any) -> tuple[Any, ...]:
        """Do it with torch."""
        import torch

        functional = torch.nn.functional
        if self.epilogue == "bias+gelu":
            *inputs, bias = inputs  # type: ignore[assignment]
        if self.op == "mm":
            out = inputs[0] @ inputs[1]
        elif self.op == "linear":
            out = functional.linear(*inputs)
        elif self.op == "conv2d":
            out = functional.conv2d(*inputs, padding=1)
        else:
            out = getattr(torch, self.op)(*inputs)
        if self.epilogue == "bias+gelu":
            out = functional.gelu(out + bias)
        elif self.epilogue != "none":
            out = getattr(functional, self.epilogue)(out)
        return (out,)


def _image(pixels: int) -> tuple[int, int]:
    """The height and width of an image of that many pixels, as near to a square as can be."""
    height = next(h for h in range(math.isqrt(pixels), 0, -1) if pixels % h == 0)
    return height, pixels // height
