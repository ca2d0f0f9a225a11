"""What happens around each compile of a graph: scopes are counted, values are passed on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from inductor_override.hooks import late_backward, trace
from inductor_override.hooks.foreign import Foreign
from inductor_override.hooks.gate import Gate
from inductor_override.open_scopes import Counts, GraphValues
from inductor_override.request.names import OPTION, TORCH_DECIDES
from inductor_override.tuning import Listener


class _ThreadState(threading.local):
    depth = deepest = 0
    """Calls of `compile_fx` that this thread is in; the most since the outermost began."""
    counting: Collection[Counts] = ()
    """Where these calls are counted."""


_here = _ThreadState()


def outside_compile() -> bool:
    """Whether the hook on `compile_fx` is not around what runs in this thread."""
    return _here.depth == 0


class Keeper(Protocol):
    """What the hooks need of the installation."""

    def hold_while_compiling(self) -> object:
        """Stay installed until `release("graph", ...)` of what is returned."""

    def release(self, holder: Literal["graph"], key: object) -> None:
        """End what `hold_while_compiling` has begun."""

    def reopen(self, graph: GraphValues) -> AbstractContextManager[None]:
        """Apply the values of a graph, whatever has ended since."""


class CompileHooks:
    """The hooks on Inductor's compiler.

    Args:
        foreign: keeps the hook on the gate on top of what others assign.
        tuner: hears what torch's tuner measured.
        keeper: keeps the option in the config while a graph is compiled.
    """

    def __init__(self, gate: Gate, foreign: Foreign, tuner: Listener, keeper: Keeper) -> None:
        self.gate, self.foreign, self.tuner, self.keeper = gate, foreign, tuner, keeper
        self.store, self.scopes = gate.store, gate.scopes

    def on_compile(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around `compile_fx`, which calls itself again for each layer of options."""
        here = _here
        depth, outer = here.depth, here.counting
        held = None if depth else self.keeper.hold_while_compiling()
        try:
            if not self.gate.live:
                return wrapped(*args, **kwargs)
            inputs = args[1] if len(args) > 1 else kwargs.get("example_inputs_")
            counted = self._before_compile(inputs)
            here.depth = here.deepest = depth + 1
            here.counting = counted
            options = args[3] if len(args) > 3 else kwargs.get("config_patches")
            if not options:  # else in the next layer: torch's patch has to be the inner one
                args, kwargs = late_backward.with_values(
                    wrapped,
                    args,
                    kwargs,
                    self.scopes.values_here(),
                    self.keeper.reopen,
                    outside_compile,
                )
            hits = late_backward.cache_hits()
            result = wrapped(*args, **kwargs)
            from_cache = late_backward.cache_hits() > hits
            if here.deepest == depth + 1:  # where all layers of options apply
                self._trace()
        finally:
            here.depth, here.counting = depth, outer
            if held is not None:
                self.keeper.release("graph", held)
        for counts in counted:
            if counts not in outer:  # not a layer of options, but a scope of its own in a compile
                counts.graphs += 1
                counts.from_cache += from_cache
        return result

    def on_graph(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around `_compile_fx_inner`, which compiles each graph, outside of a hooked `compile_fx`.

        A backward graph that is compiled late, or a `compile_fx` that was imported by name before
        the hook was on it.
        """
        counted: Collection[Counts] = ()

        def compile_it(*args: Any, **kwargs: Any) -> Any:
            nonlocal counted
            # Also for a backward graph, whose values apply here by now: its tuning is heard.
            here = self._before_compile(args[1] if len(args) > 1 else None)
            if not kwargs.get("is_backward"):
                counted = here
            return wrapped(*args, **kwargs)

        held = self.keeper.hold_while_compiling()
        hits = late_backward.cache_hits()
        try:
            if not self.gate.live:
                return wrapped(*args, **kwargs)
            result = late_backward.compile_graph(
                compile_it, args, kwargs, self.scopes.values_here, self.keeper.reopen
            )
        finally:
            self.keeper.release("graph", held)
        from_cache = late_backward.cache_hits() > hits
        for counts in counted:
            counts.graphs += 1
            counts.from_cache += from_cache
        return result

    def _before_compile(self, inputs: object) -> Collection[Counts]:
        """Bring hooks and scopes up to date; return the counts of the open scopes."""
        self.foreign.keep_on_top()
        self.scopes.drop_closed()
        counted = self.scopes.counts_here()
        self._count(counted, inputs)
        return counted

    def _trace(self) -> None:
        min_sms = self.store.min_sms()
        if min_sms != TORCH_DECIDES:
            trace.record({OPTION: min_sms, "patch_module": self.gate.patch.name})

    def _count(self, counted: Collection[Counts], inputs: object) -> None:
        config = self.store.config
        if not any(getattr(config, name, False) for name in self.gate.patch.autotune_switches):
            return
        self.tuner.attach()
        backends = getattr(config, "max_autotune_gemm_backends", "TRITON")  # from 2.1 on
        tensor = sys.modules["torch"].Tensor
        found = inputs if isinstance(inputs, (list, tuple)) else ()
        beyond_cpu = any(isinstance(x, tensor) and x.device.type != "cpu" for x in found)
        for counts in counted:
            counts.autotuned += 1
            counts.without_triton += "TRITON" not in str(backends).upper()
            counts.beyond_cpu += beyond_cpu
