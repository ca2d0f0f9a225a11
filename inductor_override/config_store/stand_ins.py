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
        by_name: a function for each method; it is called with torch's unbound method first. Methods
            that this release does not have are left out.
    """

    def __init__(self, config: ModuleType, by_name: dict[str, StandIn]) -> None:
        self._held = vars(config)
        self._functions = {
            name: _stand_in(function, getattr(type(config), name))
            for name, function in by_name.items()
            if hasattr(type(config), name)
        }

    def put_on(self) -> None:
        self._held.update(self._functions)

    def take_off(self) -> None:
        for name, function in self._functions.items():
            if self._held.get(name) is function:
                del self._held[name]


def _stand_in(function: StandIn, method: StandIn) -> StandIn:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return function(method, *args, **kwargs)

    return stand_in


def view(config: ModuleType, options: dict[str, Any]) -> ModuleType:
    """The config for torch's methods, with these options in it.

    While a method walks through these options no other thread adds one, or takes one out. It is of
    the config's own class: torch 2.15 calls `super()`.
    """
    made = ModuleType.__new__(type(config))
    ModuleType.__init__(made, config.__name__)  # torch's own `__init__` raises
    vars(made).update(vars(config), _config=options)
    return made
