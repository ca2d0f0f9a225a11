"""Functions on the config module that stand in for methods of torch's class of config modules.

torch's readers of the whole config (for cache keys, for a copy) are methods. A function of the same
name on the module itself is found first, leaves torch's class as it is, and is gone when the name
is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

StandIn = Callable[..., Any]


class StandIns:
    """Stand-ins on one config module, put on and taken off together.

    Args:
        config: `torch._inductor.config`.
        by_name: a function for each method; it is called with torch's method first. Methods that
            this release does not have are left out.
    """

    def __init__(self, config: ModuleType, by_name: dict[str, StandIn]) -> None:
        self._held = vars(config)
        self._before: dict[str, Any] = {}
        self._functions = {
            name: self._bound(config, name, function)
            for name, function in by_name.items()
            if hasattr(type(config), name)
        }

    def put_on(self) -> None:
        """Someone else's function of that name on the module is called in the place of torch's."""
        for name, function in self._functions.items():
            there = self._held.get(name)
            if there is not function:
                self._before[name] = there
                self._held[name] = function

    def take_off(self) -> None:
        """Take the stand-ins off where they are still the ones that torch finds."""
        for name, function in self._functions.items():
            if self._held.get(name) is function:
                before = self._before.pop(name, None)
                if before is None:
                    del self._held[name]
                else:
                    self._held[name] = before

    def _bound(self, config: ModuleType, name: str, function: StandIn) -> StandIn:
        torchs_own = getattr(type(config), name).__get__(config)

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            return function(self._before.get(name) or torchs_own, *args, **kwargs)

        return stand_in
