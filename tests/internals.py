"""The one place where tests reach behind the public names of the package."""

from __future__ import annotations

import sys
from typing import cast

import torch

from inductor_override import messages
from inductor_override.hooks import foreign
from inductor_override.hooks.hook import Hook
from inductor_override.install.installation import installation
from inductor_override.patches import select
from inductor_override.patches.contract import Patch

__all__ = ["CONSUMER", "Hook", "forget_what_was_said", "installation", "patched", "select"]

_ROWS = cast(Patch, select.serving(torch.__version__)).targets
_CONSUMER = next(row for row in _ROWS if row.role == "consumer")
CONSUMER = cast(str, select.find_target(_CONSUMER, sys.modules["torch._inductor.utils"]))
"""The name of the function of `torch._inductor.utils` that asks the gate."""


def patched() -> list[object]:
    """What torch finds now under each name of the table."""
    owners = [sys.modules[row.owner] for row in _ROWS]
    return [
        vars(o)[cast(str, select.find_target(r, o))] for r, o in zip(_ROWS, owners, strict=True)
    ]


def forget_what_was_said() -> None:
    """As in a process that begins."""
    messages._said.clear()
    foreign.named.clear()
    installation.unsupported = None  # status() tells of the last attempt, whichever test made it
