"""A backward graph is compiled with the values that its forward graph had.

AOTAutograd may compile it much later: after the scope, after `disable`, in another scope, and on
CUDA in autograd's own threads, where from torch 2.12 on the config has none of the caller's values.
Its cache keeps the two together, under a key that has the forward graph's values only.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary

import wrapt

from inductor_override.messages import say_once
from inductor_override.open_scopes import GraphValues
from inductor_override.request.names import COMPILE_FX, OPTION, TORCH_DECIDES

STOCK = GraphValues((), {OPTION: TORCH_DECIDES})
"""For a backward graph whose forward graph was compiled without the package."""

_forward_graphs: WeakKeyDictionary[Any, GraphValues] = WeakKeyDictionary()
"""Values of forward graphs by torch's `TracingContext`, which their backward graphs share."""

Reopen = Callable[[GraphValues], AbstractContextManager[None]]


class _ThreadState(threading.local):
    reopened = False
    """Whether the values of the graph that is compiled in this thread have been reopened."""


_here = _ThreadState()


def with_values(
    compile_fx: Any,
    args: Any,
    kwargs: Any,
    graph: GraphValues,
    reopen: Reopen,
    outside_compile: Callable[[], bool],
) -> tuple[Any, Any]:
    """Arguments for `compile_fx` whose `inner_compile` compiles with these values, at any time.

    While that call of `compile_fx` runs the values apply, and torch may have patched some of them
    for a reason: then nothing is done. No frame is added either: torch takes many stack traces in a
    compile, and pays for each frame in each.
    """
    inner = args[2] if len(args) > 2 else kwargs.get("inner_compile") or _default_inner(compile_fx)
    if inner is None:
        return args, kwargs

    def late(wrapped: Any, instance: Any, inner_args: Any, inner_kwargs: Any) -> Any:
        return _compile(graph, reopen, wrapped, inner_args, inner_kwargs)

    def is_late() -> bool:
        # Reopened: a layer of options within this one, whose values are newer, was here first.
        return outside_compile() and not _here.reopened

    inner_with_values = wrapt.FunctionWrapper(inner, late, enabled=is_late)
    if len(args) > 2:
        return (*args[:2], inner_with_values, *args[3:]), kwargs
    return args, {**kwargs, "inner_compile": inner_with_values}


def _default_inner(compile_fx: Any) -> Any:
    """What `compile_fx` would take. None: it is someone else's, and takes no `inner_compile`."""
    try:
        parameters = inspect.signature(compile_fx).parameters
    except (TypeError, ValueError):
        return None
    if "inner_compile" in parameters:
        return parameters["inner_compile"].default
    passed_on = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return vars(sys.modules[COMPILE_FX])["compile_fx_inner"] if passed_on else None


def compile_graph(
    compile_it: Any, args: Any, kwargs: Any, values_here: Callable[[], GraphValues], reopen: Reopen
) -> Any:
    """Compile a graph of which `with_values` did not see the forward graph, still with its values.

    Either `compile_fx` had been imported by name before the hook was on it, or there was no hook.
    A backward graph of a forward graph that nobody saw is torch's: torch's cache keeps the two
    under the forward graph's key.
    """
    from torch._guards import TracingContext

    context = TracingContext.try_get()
    if _here.reopened or context is None:
        return compile_it(*args, **kwargs)
    if not kwargs.get("is_backward"):
        _forward_graphs[context] = values_here()
        return compile_it(*args, **kwargs)
    graph = _forward_graphs.get(context, STOCK)
    if graph is STOCK and values_here().values != STOCK.values:
        say_once(
            "a backward graph is compiled as torch decides: its forward graph was compiled before "
            "the package was there, or not by Inductor. Compile both under the override"
        )
    return _compile(graph, reopen, compile_it, args, kwargs)


def _compile(graph: GraphValues, reopen: Reopen, compile_it: Any, args: Any, kwargs: Any) -> Any:
    before, _here.reopened = _here.reopened, True
    hits = cache_hits()
    try:
        with reopen(graph):
            result = compile_it(*args, **kwargs)
    finally:
        _here.reopened = before
    from_cache = cache_hits() > hits
    for counts in graph.counts:
        counts.graphs += 1
        counts.from_cache += from_cache
    return result


def cache_hits() -> int:
    """How many graphs torch has taken from its caches so far in this process."""
    counters = vars(sys.modules["torch._dynamo.utils"])["counters"]
    kinds = (("inductor", "fxgraph_cache_hit"), ("aot_autograd", "autograd_cache_hit"))
    return sum(counters[group][name] for group, name in kinds if group in counters)
