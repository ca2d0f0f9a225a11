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

__all__ = [
    "CONSUMER",
    "Hook",
    "as_when_a_compile_begins",
    "forget_what_was_said",
    "installation",
    "patched",
    "select",
]

_ROWS = cast(Patch, select.serving(torch.__version__)).targets
_UTILS = sys.modules["torch._inductor.utils"]
CONSUMER = next(
    n for n in cast(Patch, select.serving(torch.__version__)).consumers if n in vars(_UTILS)
)
"""The name of the function of `torch._inductor.utils` that asks the gate."""


def patched() -> list[object]:
    """What torch finds now under each name of the table."""
    return [vars(sys.modules[row.owner])[row.name] for row in _ROWS]


def as_when_a_compile_begins() -> None:
    """Put the hook on the gate on top again, as each compile does first."""
    if installation.installed:
        installation._foreign.keep_on_top()


def forget_what_was_said() -> None:
    """As in a process that begins."""
    messages._said.clear()
    foreign.named.clear()
    installation.unsupported = None  # status() tells of the last attempt, whichever test made it
