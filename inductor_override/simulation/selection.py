"""The stand-ins around Inductor's last two steps, and what they see.

Timing the candidates and loading the compiled kernels are the two things that can't happen without
hardware.  In place of the first, the first Triton candidate is taken, or the first of all if there
is none; in place of the second, the wrapper module is never executed.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inductor_override.patches.select import newest, serving
from inductor_override.simulation.result import OTHER, TRITON, VENDOR, Choice, Selection


class Recorder:
    """Collects what one lowering chose from, and the code it generated."""

    def __init__(self) -> None:
        self.selections: list[Selection] = []
        self.sources: list[str] = []


# Whoever lowers puts its recorder here, under the lock of `lowering`.  Not a ContextVar: Inductor
# may generate code in a thread of its own.
current = Recorder()


def record_into(recorder: Recorder) -> None:
    """Let the lowering that starts now be seen by `recorder`."""
    global current
    current = recorder


def install(torch: str) -> None:
    """Put both stand-ins into Inductor, for good.

    Args:
        torch: the version of torch.
    """
    from torch._inductor.codecache import PyCodeCache
    from torch._inductor.select_algorithm import AlgorithmSelectorCache

    AlgorithmSelectorCache.__call__ = _selector(
        AlgorithmSelectorCache.__call__,
        returns_choice=(serving(torch) or newest()).selection_returns_choice,
    )
    if hasattr(PyCodeCache, "load_by_key_path"):
        load = PyCodeCache.load_by_key_path.__func__
        PyCodeCache.load_by_key_path = classmethod(_loader_of_file(load))
    else:  # torch 2.0
        PyCodeCache.load = classmethod(_loader_of_source(PyCodeCache.load.__func__))


def _selector(original: Callable[..., Any], *, returns_choice: bool) -> Callable[..., Any]:
    @functools.wraps(original)
    def select(self: Any, *args: Any, **kwargs: Any) -> Any:
        # torch 2.0 gives no name before the choices.
        choices = args[1] if isinstance(args[0], str) else args[0]
        offered = [(choice, _describe(choice)) for choice in choices if choice is not None]
        if not offered:
            return original(self, *args, **kwargs)  # its own error, or way out
        name = args[0] if isinstance(args[0], str) else offered[0][1].name
        current.selections.append(Selection(name, tuple(seen for _, seen in offered)))
        chosen = next((c for c, seen in offered if seen.kind == TRITON), offered[0][0])
        node = chosen.output_node()
        return (node, chosen) if returns_choice else node

    return select


def _loader_of_file(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(cls: Any, key: str, path: str, *args: Any, **kwargs: Any) -> Any:
        source = Path(path).read_text("utf-8")
        if not _is_wrapper(source):
            return original(cls, key, path, *args, **kwargs)
        return _empty_wrapper(source, path)

    return load


def _loader_of_source(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(cls: Any, source: str) -> Any:
        if not _is_wrapper(source):
            return original(cls, source)
        return _empty_wrapper(source, "wrapper.py")

    return load


def _is_wrapper(source: str) -> bool:
    return "async_compile.wait" in source  # else it is a Triton template


def _empty_wrapper(source: str, path: str) -> Any:
    current.sources.append(source)
    module: Any = types.ModuleType("wrapper")
    module.__file__ = path
    module.call = lambda inputs: []
    return module


def _describe(choice: Any) -> Choice:
    from torch._inductor.select_algorithm import ExternKernelCaller, TritonTemplateCaller

    # Inductor wraps a choice whose inputs need processing first.
    bare = getattr(choice, "_wrapped", choice)
    if isinstance(bare, TritonTemplateCaller):
        kind = TRITON
    elif isinstance(bare, ExternKernelCaller):
        kind = VENDOR
    else:
        kind = OTHER
    return Choice(choice.name, kind)
