"""The threshold that a user may ask for."""

from __future__ import annotations

import inspect

from inductor_override.request.names import OPTION

ALLOWED = "an int >= 0 (0 lets every GPU through, N lets a GPU with at least N SMs through)"


def check_min_sms(value: object) -> int:
    """Return `value` as a plain int.

    A plain int, whatever subclass came in: `torch.compile(options=)` compares the exact type.

    Raises:
        TypeError: `value` is not an int, or is a bool.
        ValueError: `value` is negative.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        if inspect.isroutine(value):
            raise TypeError("min_sms is a number, not a function; as a decorator write @override()")
        raise TypeError(f"min_sms must be {ALLOWED}; got {value!r} ({type(value).__name__})")
    if value < 0:
        raise ValueError(
            f"min_sms must be {ALLOWED}; got {value}. To leave the decision to torch, "
            "open no scope, or use enable() without a value"
        )
    return int(value)


def value_problem(value: object) -> str | None:
    """A sentence about a value of the option that the gate cannot use, else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    return (
        f"torch._inductor.config.{OPTION} must be an int (-1: torch decides, 0: every GPU passes, "
        f"N: from N SMs on); it is {value!r}"
    )
