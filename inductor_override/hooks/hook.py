"""One wrapt wrapper on one module attribute, taken off again exactly."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

# In wrapt 2 a FunctionWrapper is no ObjectProxy any more, but both are this.
_Proxy: Any = getattr(wrapt, "BaseObjectProxy", None) or wrapt.ObjectProxy


class Layer(wrapt.FunctionWrapper):  # type: ignore[type-arg,unused-ignore]
    """A type of its own, so that these layers are told from other packages' wrappers."""


Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


class Hook:
    """A wrapper around `owner.name` that can be put on top again and taken off.

    Someone else may assign to the attribute, or wrap it, while the hook is on. Then
    `is_outermost` is false, `attach` goes on top of whatever is there now, and `detach`
    takes off the package's layers only: what someone else has put there stays.

    Args:
        enabled: asked at each call; where it says no, the call goes past the wrapper.
    """

    def __init__(
        self,
        owner: ModuleType,
        name: str,
        wrapper: Wrapper,
        enabled: Callable[[], bool] | None = None,
    ) -> None:
        self.owner, self.name, self.wrapper, self.enabled = owner, name, wrapper, enabled
        self._layer: object = None
        # Not setattr: a config module's `__setattr__` takes options only.
        self._held = vars(owner)

    def attach(self) -> object:
        """Put the wrapper on top; return what it wraps.

        Raises:
            AttributeError: the owner has no such attribute.
        """
        # Not getattr: what is restored must be the very object that the module holds.
        target = self._held.get(self.name)
        if isinstance(target, _Proxy):  # maybe over a layer of the package's
            self.detach()
            target = self._held.get(self.name)
        if target is None:
            raise AttributeError(f"{self.owner.__name__} has no {self.name}")
        self._layer = Layer(target, self.wrapper, self.enabled)
        self._held[self.name] = self._layer
        return target

    def is_outermost(self) -> bool:
        return self._layer is not None and self._held.get(self.name) is self._layer

    def detach(self) -> None:
        """Take the package's layers off, wherever in the chain of wrapt wrappers they are.

        Also a layer that someone had saved and has put back since, as `unittest.mock.patch` does.
        A layer in someone else's closure stays there, and only passes calls on.
        """
        self._layer = None
        held = self._held.get(self.name)
        target: Any = held
        while type(target) is Layer:
            target = target.__wrapped__
        if target is not held:
            self._held[self.name] = target
        # A plain function's __wrapped__ is a note, not what it calls: only proxies are followed.
        while isinstance(target, _Proxy):
            while type(target.__wrapped__) is Layer:
                target.__wrapped__ = target.__wrapped__.__wrapped__
            target = target.__wrapped__
