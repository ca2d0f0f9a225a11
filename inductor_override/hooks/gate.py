"""The decision: what the hook on `is_big_gpu` answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inductor_override.config_store.base import ConfigStore
from inductor_override.messages import say_once
from inductor_override.open_scopes import OpenScopes
from inductor_override.patches.contract import Patch
from inductor_override.request.min_sms import value_problem
from inductor_override.request.names import OPTION, TORCH_DECIDES


class Gate:
    """The hook on the gate.

    Args:
        set_by: who set the process-wide threshold, for the log.

    Attributes:
        live: False from the end of the installation on. Then a hook on the compiler that is kept in
            someone's closure only passes calls on; the one here finds no option then.
    """

    def __init__(
        self,
        patch: Patch,
        store: ConfigStore,
        scopes: OpenScopes,
        set_by: Callable[[], str | None],
    ) -> None:
        self.patch, self.store, self.scopes = patch, store, scopes
        self.live = True
        self._set_by = set_by

    def close(self) -> None:
        self.live = False

    def on_gate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> bool:
        """Around `is_big_gpu`: the option's decision, or torch's own at -1."""
        passed = self._decide(wrapped, args, kwargs)
        for counts in self.scopes.counts_here():
            counts.consulted += 1
            counts.passed += passed
        return passed

    def _decide(self, wrapped: Any, args: Any, kwargs: Any) -> bool:
        min_sms = self.store.min_sms()
        if problem := value_problem(min_sms):
            raise TypeError(problem)
        if min_sms <= TORCH_DECIDES:
            return bool(wrapped(*args, **kwargs))
        sms = self.patch.count_sms(*args, **kwargs)
        if sms is None and min_sms:  # ROCm: torch goes by architecture, SMs say nothing
            return bool(wrapped(*args, **kwargs))
        device = next(iter((*args, *kwargs.values())), 0)
        if sms is not None and sms < min_sms:
            say_once(
                f"GPU {device} has {sms} SMs and {OPTION} is {min_sms}, so Inductor has no GEMM or "
                f"convolution templates for it. Set the option to {sms} or less to let it through"
            )
            return False
        set_by = self._set_by()
        if set_by and not self.scopes.here():
            say_once(
                f"GPU {device} is let through to GEMM and convolution autotuning: {OPTION} is "
                f"{min_sms}, set for the whole process by {set_by}",
                key=f"process-wide {device}",
            )
        return True
