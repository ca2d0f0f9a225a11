"""What torch keeps of what it has read from its config, and how all of it is made to be forgotten.

Until torch 2.12 that is one hash. From 2.13 on each context has caches of its own, and the FX graph
cache's key is made from them: a thread that keeps what it read before would go on with the old key
(and be served an artifact of torch's own), or ask for an option that is gone (`KeyError`).
"""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType
from typing import Any, ClassVar


class ConfigHash:
    """torch 2.6 to 2.12: a hash of the config, for the whole process."""

    def __init__(self, config: ModuleType) -> None:
        self._config = config

    def attach(self) -> None:
        """From now on `forget` reaches everyone. Here it does anyway."""

    def detach(self) -> None:
        """Undo `attach`."""

    def forget(self) -> None:
        """In the whole process everything is read anew."""
        self._config._is_dirty = True  # type: ignore[attr-defined]

    def forget_here(self, key: str) -> None:
        """In this context this option is read anew."""
        self.forget()


class ContextCaches(ConfigHash):
    """torch 2.13 on: each context keeps the config as dicts, and a hash.

    No thread can reach into another's context, but all of them reach torch's `ContextVar`s through
    the config. While the option is there, `ContextCache`s stand in for them.
    """

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        self._held = vars(config)

    def attach(self) -> None:
        for name, cache in CACHES.items():
            if self._held[name] is not cache:
                cache.torchs = self._held[name]
                self._held[name] = cache  # much faster than the config's own `__setattr__`

    def detach(self) -> None:
        for name, cache in CACHES.items():
            if self._held[name] is cache:
                self._held[name] = cache.torchs

    def forget(self) -> None:
        ContextCache.now += 1

    def forget_here(self, key: str) -> None:
        CACHES["_hash_dirty_var"].set(True)
        self._config._mark_get_dict_dirty(key)


class ContextCache:
    """Stands in for one of torch's `ContextVar`s: what was set before `now` counts as not set.

    torch's own variable is emptied in each context that comes by here, so that nothing out of date
    is found in it afterwards. There is one for the process, not one for each time that it is
    needed: a context keeps each variable that was ever set in it, for as long as it lives.
    """

    now: ClassVar = 0

    torchs: ContextVar[Any]

    def __init__(self, name: str, empty: Any) -> None:
        self._empty = empty
        self._kept: ContextVar[tuple[int, Any]] = ContextVar(name, default=(-1, empty))

    def get(self) -> Any:
        now = self.now
        since, value = self._kept.get()
        if since != now:
            value = self._empty
            self.torchs.set(value)
            self._kept.set((now, value))
        return value

    def set(self, value: Any) -> None:
        # As of the last `get`: it was computed from what was there then.
        self.torchs.set(self._empty)
        self._kept.set((self._kept.get()[0], value))


CACHES = {
    name: ContextCache(f"inductor_override.{name}", empty)
    for name, empty in (
        ("_get_dict_dirty_keys_var", None),  # None: all of them
        ("_get_dict_cache_var", None),
        ("_hash_dirty_var", True),
    )
}
"""By the names that torch has them under, in its config."""


def caches_of(config: ModuleType) -> ConfigHash:
    return ContextCaches(config) if "_hash_dirty_var" in vars(config) else ConfigHash(config)
