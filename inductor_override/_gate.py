"""What the hooks do: decide at the gate, notice newcomers, count what is compiled."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from inductor_override import _carry, _precompile, _trace
from inductor_override._names import OPTION, TORCH_DECIDES
from inductor_override._notices import say_once
from inductor_override._open_scopes import OpenScopes, Seen
from inductor_override._option import value_problem
from inductor_override._store import ConfigStore
from inductor_override.patches import PatchModule


class _Here(threading.local):
    """Of this thread."""

    depth = deepest = 0
    """How many calls of `compile_fx` it is in, and was in at the deepest."""
    counting: Collection[Seen] = ()
    """Where these calls are counted."""


_here = _Here()


class Gate:
    """The decision, with what it needs to know of this torch.

    Args:
        keep_on_top: called before the gate may be asked; puts our hook back on top of a foreign
            assignment.
        compiling: around each compile, in any thread.
        put_in_force: puts the option, with the values that it is given, in force for one graph.
    """

    def __init__(
        self,
        patch: PatchModule,
        store: ConfigStore,
        scopes: OpenScopes,
        keep_on_top: Callable[[], None],
        compiling: Callable[[], AbstractContextManager[None]],
        put_in_force: _carry.PutInForce,
    ) -> None:
        self.patch, self.store, self.scopes = patch, store, scopes
        self.keep_on_top, self.compiling = keep_on_top, compiling
        self.put_in_force = put_in_force
        self.live = True

    def close(self) -> None:
        """From now on the hooks only pass calls on, also one kept in someone's closure."""
        self.live = False

    def on_gate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> bool:
        """Around `is_big_gpu`: the option's decision, or torch's own at -1."""
        if not self.live:
            return wrapped(*args, **kwargs)  # type: ignore[no-any-return]
        passed = self._decide(wrapped, args, kwargs)
        for seen in self.scopes.seen_here():
            seen.consulted += 1
            seen.passed += passed
        return passed

    def on_consumer(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around the function that asks the gate by its name in torch's module."""
        if self.live:
            self.keep_on_top()
        return wrapped(*args, **kwargs)

    def on_compile(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around `compile_fx`, which calls itself again for each layer of options."""
        here = _here
        depth, outer = here.depth, here.counting
        with nullcontext() if depth else self.compiling():
            if not self.live:  # the last scope has ended just before, in another thread
                return wrapped(*args, **kwargs)
            seen_here = self._look_around(
                args[1] if len(args) > 1 else kwargs.get("example_inputs_")
            )
            try:
                here.depth = here.deepest = depth + 1
                here.counting = seen_here
                options = args[3] if len(args) > 3 else kwargs.get("config_patches")
                if not options:  # else in the next layer: torch's patch has to be the inner one
                    now = self.scopes.now()
                    args, kwargs = _carry.hand_on(
                        wrapped, args, kwargs, now, self.put_in_force, self.outside_compile
                    )
                result = wrapped(*args, **kwargs)
                if here.deepest == depth + 1:  # where all layers of options are in force
                    self._trace()
            finally:
                here.depth, here.counting = depth, outer
        for seen in seen_here:
            if seen not in outer:  # not a layer of options, but a scope of its own in a compile
                seen.graphs += 1
        return result

    def on_graph(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Around `_compile_fx_inner`, which compiles each graph, outside of our `compile_fx`.

        A backward graph that is compiled late, or a `compile_fx` that was imported by name before
        our hook was on it.
        """
        seen_here: Collection[Seen] = ()
        with self.compiling():
            if not self.live:
                return wrapped(*args, **kwargs)
            if not kwargs.get("is_backward"):
                seen_here = self._look_around(args[1] if len(args) > 1 else None)
            result = _carry.compile_graph(wrapped, args, kwargs, self.scopes.now, self.put_in_force)
        for seen in seen_here:
            seen.graphs += 1
        return result

    def outside_compile(self) -> bool:
        """Whether `on_compile` is not around what runs in this thread."""
        return _here.depth == 0

    def _look_around(self, inputs: object) -> Collection[Seen]:
        """Who has to know of what is compiled here, after what others did meanwhile is settled."""
        self.keep_on_top()
        _precompile.say_if_on()
        self.scopes.settle()
        self.store.unset_if_default()
        seen_here = self.scopes.seen_here()
        if seen_here:
            self._note(seen_here, inputs)
        return seen_here

    def _decide(self, wrapped: Any, args: Any, kwargs: Any) -> bool:
        min_sms = self.store.min_sms()
        if problem := value_problem(min_sms):
            raise TypeError(problem)
        if min_sms == 0:
            return True
        if min_sms <= TORCH_DECIDES:
            return bool(wrapped(*args, **kwargs))
        sms = self.patch.count_sms(*args, **kwargs)
        if sms is None:  # ROCm: torch goes by architecture, SMs say nothing
            return bool(wrapped(*args, **kwargs))
        if sms < min_sms:
            device = args[0] if args else 0
            say_once(f"GPU {device} has {sms} SMs, {OPTION} is {min_sms}: no GEMM templates for it")
        return bool(sms >= min_sms)

    def _trace(self) -> None:
        min_sms = self.store.read(OPTION)
        if min_sms != TORCH_DECIDES:
            _trace.record({OPTION: min_sms, "patch_module": self.patch.__name__})

    def _note(self, seen_here: Collection[Seen], inputs: object) -> None:
        config = self.store.config
        on = config.max_autotune or getattr(config, "max_autotune_gemm", False)  # from 2.1 on
        tensor = sys.modules["torch"].Tensor
        devices = {
            str(each.device.type) if isinstance(each, tensor) else type(each).__name__
            for each in (inputs if isinstance(inputs, (list, tuple)) else ())
        }
        for seen in seen_here:
            seen.autotuned = seen.autotuned or bool(on)
            seen.devices |= devices
