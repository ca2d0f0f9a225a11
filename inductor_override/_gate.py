"""What the three hooks do: decide at the gate, notice newcomers, count what is compiled."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

from inductor_override import _trace
from inductor_override._names import OPTION, TORCH_DECIDES, log
from inductor_override._open_scopes import Entry, OpenScopes, Seen
from inductor_override._store import ConfigStore
from inductor_override.patches import PatchModule


class _Depth(threading.local):
    """How many calls of `compile_fx` this thread is in, and was in at the deepest."""

    value = deepest = 0
    has_options = False
    """Whether one of them was given a value for the option, by `torch.compile(options=)`."""


class Gate:
    """The decision, with what it needs to know of this torch.

    Args:
        keep_on_top: called before the gate may be asked; puts our hook back on top of a foreign
            assignment.
        compiling: called with +1 when a compile starts in any thread and with -1 when it ends.
        carry: puts the option, and the scopes that it is given, in force for one graph.
    """

    def __init__(
        self,
        patch: PatchModule,
        store: ConfigStore,
        scopes: OpenScopes,
        keep_on_top: Callable[[], None],
        compiling: Callable[[int], None],
        carry: Callable[[tuple[Entry, ...]], AbstractContextManager[None]],
    ) -> None:
        self.patch, self.store, self.scopes = patch, store, scopes
        self.keep_on_top, self.compiling, self.carry = keep_on_top, compiling, carry
        self.live = True
        self._depth = _Depth()
        self._held_back: set[tuple[str, int]] = set()

    def on_gate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> bool:
        """Around `is_big_gpu`: the option's decision, or torch's own at -1."""
        if not self.live:  # kept in someone's closure after un-patching
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
        if not self.live:
            return wrapped(*args, **kwargs)
        self.keep_on_top()
        seen_here = self.scopes.seen_here()
        self._note_autotuning(seen_here)
        depth, had_options = self._depth.value, self._depth.has_options
        self._depth.value = self._depth.deepest = depth + 1
        if depth == 0:
            self.compiling(+1)
        try:
            args, kwargs = self._carried(wrapped, args, kwargs)
            result = wrapped(*args, **kwargs)
            if self._depth.deepest == depth + 1:  # where all layers of options are in force
                self._trace()
            if depth == 0:
                for seen in seen_here:
                    seen.graphs += 1
            return result
        finally:
            self._depth.value, self._depth.has_options = depth, had_options
            if depth == 0:
                self.compiling(-1)

    def _carried(self, wrapped: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Let the backward graph be compiled with the values of its forward graph.

        AOTAutograd may compile it much later: after the scope, after `disable`, and on CUDA in
        autograd's own threads, where from torch 2.12 on the config has none of the caller's
        values. torch takes the options of `torch.compile(options=)` along for it, by a
        `config.patch` around `inner_compile`, which fails where the option is gone.
        """
        given = dict(
            zip(("model", "inputs", "inner_compile", "config_patches"), args, strict=False)
        )
        given |= kwargs
        if given.get("config_patches"):
            self._depth.has_options |= OPTION in given["config_patches"]
            return args, kwargs  # not here: torch's patch has to be the inner of the two
        scopes = self.scopes.here()
        inner = given.get("inner_compile")
        if not (scopes or self._depth.has_options) or getattr(inner, "carries", None) == scopes:
            return args, kwargs
        if inner is None:
            inner = inspect.signature(wrapped).parameters["inner_compile"].default
        carry = self.carry

        @functools.wraps(inner)
        def in_its_scopes(*inner_args: Any, **inner_kwargs: Any) -> Any:
            with carry(scopes):
                return inner(*inner_args, **inner_kwargs)

        in_its_scopes.carries = scopes  # type: ignore[attr-defined]
        if len(args) > 2:
            return (*args[:2], in_its_scopes, *args[3:]), kwargs
        return args, {**kwargs, "inner_compile": in_its_scopes}

    def _decide(self, wrapped: Any, args: Any, kwargs: Any) -> bool:
        min_sms = self.store.min_sms()
        if min_sms == 0 and type(min_sms) is int:
            return True
        if isinstance(min_sms, bool) or not isinstance(min_sms, int):
            raise TypeError(
                f"torch._inductor.config.{OPTION} must be an int (-1: torch decides, 0: every GPU "
                f"passes, N: from N SMs on); it is {min_sms!r}"
            )
        if min_sms <= TORCH_DECIDES:
            return bool(wrapped(*args, **kwargs))
        sms = self.patch.count_sms(*args, **kwargs)
        if sms is None:  # ROCm: torch goes by architecture, SMs say nothing
            return bool(wrapped(*args, **kwargs))
        if sms < min_sms:
            self._say_held_back(str(args[0] if args else "0"), sms, min_sms)
        return sms >= min_sms

    def _say_held_back(self, device: str, sms: int, min_sms: int) -> None:
        if (device, min_sms) not in self._held_back:
            self._held_back.add((device, min_sms))
            log.warning(
                "GPU %s has %d SMs, %s is %d: no GEMM templates for it",
                device,
                sms,
                OPTION,
                min_sms,
            )

    def _trace(self) -> None:
        min_sms = self.store.read(OPTION)
        if min_sms != TORCH_DECIDES:
            _trace.record({OPTION: min_sms, "patch_module": self.patch.__name__})

    def _note_autotuning(self, seen_here: Collection[Seen]) -> None:
        if seen_here:
            config = self.store.config
            on = config.max_autotune or getattr(config, "max_autotune_gemm", False)  # from 2.1 on
            for seen in seen_here:
                seen.autotuned = seen.autotuned or bool(on)
