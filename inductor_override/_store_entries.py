"""Inductor's config from torch 2.6 on: an entry for each option."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from types import ModuleType
from typing import Any, ClassVar

from inductor_override._names import OPTION
from inductor_override._store import ConfigStore, Default
from inductor_override._store_reads import WholeReads


class Entries(ConfigStore):
    """torch 2.6 to 2.11: an entry per option, its value for the whole process."""

    kind = "entries"

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        # With `_get_dict` torch reads the whole config for its hash and its caches.
        self._reads = WholeReads(config, ("_get_dict",), self._make_plain)

    def add(self, default: Default) -> None:
        from torch.utils import _config_module

        held = vars(self.config)
        self._before = held["_config"]
        self._reads.guard()
        # A new dict instead of a new key: another thread may be walking through the old one.
        self._with = {**self._before, OPTION: self._new_entry(_config_module, default)}
        held["_config"] = self._with
        self._changed()

    def remove(self) -> None:
        held = vars(self.config)
        with self._reads:  # one that has begun must find our key to the end
            now = held["_config"]
            if now is self._with and len(now) == len(self._before) + 1:
                held["_config"] = self._before
            elif OPTION in now:
                held["_config"] = {k: v for k, v in now.items() if k != OPTION}
            self._reads.unguard()
            self._changed()

    def read(self, key: str) -> Any:
        value = super().read(key)
        return int(self._entry(key).default) if isinstance(value, Default) else value

    def default(self) -> int:
        return self._entry(OPTION).default  # type: ignore[no-any-return]

    def set_default(self, value: Any, key: str = OPTION) -> None:
        self._entry(key).default = value
        self._changed()

    def unset_if_default(self) -> None:
        entry = self._entry(OPTION)
        if isinstance(entry.user_override, Default):
            entry.user_override = self._unset()
            self._changed()

    @staticmethod
    def _unset() -> object:
        from torch.utils import _config_module

        return _config_module._UNSET_SENTINEL

    def prior(self, key: str) -> Any:
        entry = self._entry(key)
        return self.read(key) if self._is_alias(entry) else entry.user_override

    def write(self, key: str, value: Any) -> Any:
        prior = self.prior(key)
        setattr(self.config, key, value)
        return prior

    def restore(self, key: str, prior: Any) -> None:
        entry = self._entry(key)
        if self._is_alias(entry):
            setattr(self.config, key, prior)
        else:
            entry.user_override = prior
            self._changed()

    def min_sms(self) -> Any:
        # It has no alias, no environment variable of torch's, and no mutable default.
        entry = self._entry(OPTION)
        value = entry.user_override
        return entry.default if type(value) in (object, Default) else value

    def _make_plain(self, options: dict[str, Any]) -> None:
        """Keys of caches are made of it: with a `Default` in it, they would be others."""
        if isinstance(options.get(OPTION), Default):
            entry = vars(self.config)["_config"].get(OPTION)
            options[OPTION] = int(entry.default if entry is not None else options[OPTION])

    def _entry(self, key: str) -> Any:
        return vars(self.config)["_config"][key]

    @staticmethod
    def _is_alias(entry: Any) -> bool:
        return getattr(entry, "alias", None) is not None  # from 2.7 on

    def _new_entry(self, module: Any, default: Default) -> Any:
        return module._ConfigEntry(module.Config(default=default, value_type=int))

    def _changed(self) -> None:
        self.config._is_dirty = True  # type: ignore[attr-defined]


class ContextEntries(Entries):
    """torch 2.12 on: an entry per option, its value in a `ContextVar`, so per thread."""

    kind = "entries per context"
    per_context = True

    # From 2.13 on. The dirty keys first: see `_changed`.
    _CACHES: ClassVar = {
        "_get_dict_dirty_keys_var": None,
        "_get_dict_cache_var": None,
        "_hash_dirty_var": True,
    }

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        self._set_here: list[tuple[ContextVar[Any], Token[Any]]] = []
        """Of the caches in use: what takes them out of the context that `_changed` ran in."""

    def prior(self, key: str) -> Any:
        """What takes the value out, what was assigned, and what torch has to be told."""
        entry = self._entry(key)
        assigned = entry.user_override.get()
        return None, assigned, self.read(key) if self._by_torch(key, entry) else None

    def _by_torch(self, key: str, entry: Any) -> bool:
        """Whether torch does more than to set a value: for another option, or for several."""
        return self._is_alias(entry) or key in vars(self.config).get("_implication_sources", ())

    def write(self, key: str, value: Any) -> Any:
        entry = self._entry(key)
        if self._by_torch(key, entry):
            prior = self.prior(key)
            setattr(self.config, key, value)
            return prior
        # Not by `setattr`: there is a package that makes each one process-wide, and such a value
        # would outlive the scope (unslothai/unsloth#7019).
        assigned = entry.user_override.get()
        token = entry.user_override.set(value)
        if entry.hide:
            entry.hide = False
        self._changed_here(key)
        return token, assigned, None

    def restore(self, key: str, prior: Any) -> None:
        token, assigned, seen = prior
        entry = self._entry(key)
        if self._by_torch(key, entry):
            setattr(self.config, key, seen)
            if self._is_alias(entry):
                return
        try:
            if token is None:
                entry.user_override.set(assigned)
            else:  # unlike `set`, leaves nothing behind in the thread's context
                entry.user_override.reset(token)
        except (ValueError, RuntimeError):  # a task that was started in the scope: another context
            entry.user_override.set(assigned)
        self._changed_here(key)

    def min_sms(self) -> Any:
        entry = self._entry(OPTION)
        value = entry.user_override.get()
        return entry.default if type(value) in (object, Default) else value

    def unset_if_default(self) -> None:
        entry = self._entry(OPTION)
        if isinstance(entry.user_override.get(), Default):
            entry.user_override.set(self._unset())
            self._changed_here(OPTION)

    def _new_entry(self, module: Any, default: Default) -> Any:
        return module._ConfigEntry(module.Config(default=default, value_type=int), OPTION)

    def _changed_here(self, key: str) -> None:
        held = vars(self.config)
        if "_hash_dirty_var" not in held:  # 2.12
            self._is_dirty_for_all()
            return
        if not held["_hash_dirty_var"].get():
            held["_hash_dirty_var"].set(True)
        self.config._mark_get_dict_dirty(key)

    def _changed(self) -> None:
        """Drop what every thread has cached, not only this one.

        From 2.13 on the FX graph cache's key is read from a dict that each thread keeps. A thread
        that keeps one from before would go on with the old key (and be served an artifact of
        torch's own), or ask for an option that is gone (`KeyError`). No thread can reach into
        another's context, but all of them reach it through these three attributes.
        """
        held = vars(self.config)
        if "_get_dict_cache_var" not in held:  # 2.12
            self._is_dirty_for_all()
            return
        if held["_get_dict_cache_var"].get() is not None:
            held["_get_dict_cache_var"].set(None)  # not to keep a whole config alive here
        dropped, self._set_here = self._set_here, []
        # The dirty keys first: a thread that is between the two reads then finds "all is dirty"
        # and reads everything again.
        for name, default in self._CACHES.items():
            cache: ContextVar[Any] = ContextVar(held[name].name, default=default)
            self._set_here.append((cache, cache.set(default)))
            held[name] = cache  # much faster than the config's own `__setattr__`
        # A context holds what was ever set in it, for as long as it lives; but `reset` takes out
        # all that torch has set since.
        for cache, token in dropped:
            with suppress(ValueError):  # set in another context
                cache.reset(token)

    def _is_dirty_for_all(self) -> None:
        self.config._is_dirty = True  # type: ignore[attr-defined]
