"""What a user may ask for: the threshold, the environment's values, other Inductor options."""

from __future__ import annotations

import difflib
import inspect
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inductor_override._names import (
    ENV_DISABLE,
    ENV_OPTION,
    ENV_SETTINGS,
    OPTION,
    TORCH_DECIDES,
)
from inductor_override._notices import say_once

_ALLOWED = "an int >= 0 (0 lets every GPU through, N lets a GPU with at least N SMs through)"


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
        raise TypeError(f"min_sms must be {_ALLOWED}; got {value!r} ({type(value).__name__})")
    if value < 0:
        raise ValueError(
            f"min_sms must be {_ALLOWED}; got {value}. To leave the decision to torch, "
            "open no scope, or use enable() without a value"
        )
    return int(value)


def value_problem(value: object) -> str | None:
    """A sentence about what someone has assigned to the option and the gate cannot use."""
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    return (
        f"torch._inductor.config.{OPTION} must be an int (-1: torch decides, 0: every GPU passes, "
        f"N: from N SMs on); it is {value!r}"
    )


def check_inductor_options(given: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """Return the options under their config names (`torch.compile` takes dashes too).

    Args:
        config: `torch._inductor.config`.

    Raises:
        TypeError: the package's own option was given under its config name, or a value is of
            another kind than the present one.
        ValueError: an unknown option; the message names the nearest known ones.
    """
    options = {name.replace("-", "_"): value for name, value in given.items()}
    if OPTION in options:
        raise TypeError(f"{OPTION} is what min_sms sets: write min_sms=<int> instead")
    known = set(config._config) - {OPTION}
    for name, value in tuple(options.items()):
        if name not in known:
            raise ValueError(
                f"torch._inductor.config has no option {name!r}{_instead(name, known)}"
            )
        now = getattr(config, name)
        _check_kind(name, value, now)
        if isinstance(now, bool) and value is not None:
            options[name] = bool(value)  # torch.compile(options=) compares types
    return options


def _instead(name: str, known: set[str]) -> str:
    """What to write instead of an option that there is not."""
    if name == "mode":
        return ": give the mode to torch.compile, or to inductor_override.options"
    if name in ("backend", "dynamic", "fullgraph", "recompile_limit"):
        return ": it is an argument of torch.compile"
    if name == "isolate":
        return ": isolate=True is for override(...) alone"
    if inside := sorted(other for other in known if other.startswith(f"{name}.")):
        return f": it is a group of options, such as **{{{inside[0]!r}: ...}} in Python"
    return did_you_mean(name, {*known, "min_sms"})


def _check_kind(name: str, value: object, now: object) -> None:
    """Refuse a text where a number or a bool is, and the other way round.

    torch takes anything here, and a text is true: `epilogue_fusion="no"` would switch it on.
    Where the present value is None or an object of its own kind, it tells nothing.
    """
    if value is None or not isinstance(now, (str, int, float)):
        return
    if isinstance(now, bool):
        fits = isinstance(value, int) and value in (0, 1)
    elif isinstance(now, str):
        fits = isinstance(value, str)
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits:
        such_as = "True or False" if isinstance(now, bool) else f"such as {now!r}"
        raise TypeError(
            f"torch._inductor.config.{name} is {type(now).__name__}, {such_as}; "
            f"got {value!r} ({type(value).__name__})"
        )


def did_you_mean(name: str, known: Iterable[str], count: int = 3) -> str:
    """The end of a message about an unknown name: `; did you mean 'a', 'b'?`, or nothing."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=count, cutoff=0.6)
    near = near or [other for other in known if name in other][:count]
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


@dataclass(frozen=True)
class EnvironmentValue:
    """What the option's environment variable says.

    `value` is None when the variable is not set, is empty, or cannot be used; then `problem`
    says why, in a sentence that names the variable, its value and what is allowed.
    """

    value: int | None
    problem: str | None = None


def read_environment() -> EnvironmentValue:
    """Read `TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS`. Never raises."""
    text = os.environ.get(ENV_OPTION, "").strip()
    if not text:
        return EnvironmentValue(None)
    try:
        value = int(text)
    except ValueError:
        value = TORCH_DECIDES - 1
    if value < TORCH_DECIDES:
        return EnvironmentValue(
            None,
            f"{ENV_OPTION}={text!r} is ignored: it must be {_ALLOWED}, or -1 for torch's own "
            "decision. torch decides in this process",
        )
    return EnvironmentValue(value)


def read_settings() -> tuple[dict[str, Any], str | None]:
    """The further options that `run --set` hands to its children, and what is wrong with them."""
    text = os.environ.get(ENV_SETTINGS, "").strip()
    if not text:
        return {}, None
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        return {}, f"{ENV_SETTINGS} is ignored: it must be a JSON object of Inductor options"
    return settings, None


def switched_off() -> bool:
    """True when `INDUCTOR_OVERRIDE_DISABLE=1`: every entry is then a no-op."""
    text = os.environ.get(ENV_DISABLE)
    if not text:
        return False
    if problem := switch_problem():
        say_once(problem)
    return text.strip() == "1"


def switch_problem() -> str | None:
    """A sentence about a value of `INDUCTOR_OVERRIDE_DISABLE` that means nothing, else None."""
    text = os.environ.get(ENV_DISABLE, "").strip()
    if text in ("", "0", "1"):
        return None
    return f"{ENV_DISABLE}={text!r} switches nothing off: it must be 1 (off) or 0 (on)"
