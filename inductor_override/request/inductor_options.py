"""Other options of `torch._inductor.config` that a user may ask for along with the threshold."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from inductor_override.request.names import OPTION


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


def check_for_torch_compile(options: Mapping[str, Any]) -> None:
    """Let torch look at the options as `torch.compile(options=)` does, which takes no alias.

    Raises:
        ValueError: `torch.compile` would refuse them; the message is torch's.
    """
    import torch

    try:
        torch._TorchCompileInductorWrapper(None, dict(options), None)
    except RuntimeError as error:
        said = str(error).partition(", known options are")[0]
        raise ValueError(f"torch.compile refuses these options: {said}") from None


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
        fits = isinstance(value, str) or callable(value)  # `estimate_op_runtime` takes either
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits:
        such_as = "True or False" if isinstance(now, bool) else f"such as {now!r}"
        raise TypeError(
            f"torch._inductor.config.{name} is {type(now).__name__}, {such_as}; "
            f"got {value!r} ({type(value).__name__})"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean 'a', 'b'?`, or nothing."""
    known = list(known)
    near = difflib.get_close_matches(name, known)
    near = near or [other for other in known if name in other][:3]
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""
