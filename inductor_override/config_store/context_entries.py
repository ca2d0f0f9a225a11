"""Inductor's config from torch 2.12 on: an entry for each option, its value in a `ContextVar`."""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType
from typing import Any

from inductor_override.config_store.base import Default
from inductor_override.config_store.entries import Entries, any_entry, is_alias
from inductor_override.request.names import OPTION


class ContextEntries(Entries):
    """torch 2.12: a value is seen only in the thread, or asyncio task, that assigned it.

    Defaults are shared by all threads.
    """

    kind = "entries per context"
    per_context = True

    @classmethod
    def fits(cls, config: ModuleType) -> bool:
        entry = any_entry(config)
        return (
            isinstance(getattr(entry, "user_override", None), ContextVar)
            and hasattr(config, "_get_dict")
            and "_is_dirty" in vars(config)
        )

    def prior(self, key: str) -> Any:
        """(entry, token, assigned, read): what `restore` needs of each way to put a value back."""
        entry = self._entry(key)
        assigned = self._assigned(entry)
        return entry, None, assigned, self.read(key) if self._by_torch(key, entry) else None

    def value_of(self, key: str, prior: Any) -> Any:
        _, _, assigned, _ = prior
        return super().value_of(key, assigned)

    def write(self, key: str, value: Any) -> Any:
        entry = self._entry(key)
        if self._by_torch(key, entry):
            prior = self.prior(key)
            setattr(self.config, key, value)
            return prior
        # Not by `setattr`: unsloth makes each `setattr` process-wide, and such a value would
        # outlive the scope (unslothai/unsloth#7019).
        assigned = self._assigned(entry)
        token = entry.user_override.set(value)
        entry.hide = False
        return entry, token, assigned, None

    def restore(self, key: str, prior: Any) -> None:
        entry, token, assigned, read = prior
        if self._by_torch(key, entry):
            setattr(self.config, key, read)
        try:
            if token is None:
                self._assign(entry, assigned)
            else:  # unlike `set`, leaves nothing behind in the thread's context
                entry.user_override.reset(token)
        except (ValueError, RuntimeError):  # in a copy of the context in which the scope was opened
            self._assign(entry, assigned)

    def _by_torch(self, key: str, entry: Any) -> bool:
        """Whether torch sets more than this value: an alias, or an option that implies others."""
        return is_alias(entry) or key in vars(self.config).get("_implication_sources", ())

    @staticmethod
    def _assigned(entry: Any) -> Any:
        return entry.user_override.get()

    @staticmethod
    def _assign(entry: Any, value: Any) -> None:
        entry.user_override.set(value)

    def _new_entry(self, default: Default, *name: str) -> Any:
        entry = super()._new_entry(default, OPTION)
        entry.user_override = _Assigned(entry.user_override, self._unset)
        return entry


class _Assigned:
    """Stands in for the option's `ContextVar`: setting a `Default` makes it one that is not set."""

    def __init__(self, variable: ContextVar[Any], unset: object) -> None:
        self.get, self.reset = variable.get, variable.reset
        self._set, self._unset = variable.set, unset

    def set(self, value: Any) -> Any:
        return self._set(self._unset if type(value) is Default else value)


class CachedContextEntries(ContextEntries):
    """torch 2.13 on: each thread also keeps dicts of the whole config."""

    kind = "entries per context, cached"

    @classmethod
    def fits(cls, config: ModuleType) -> bool:
        return (
            isinstance(getattr(any_entry(config), "user_override", None), ContextVar)
            and hasattr(config, "_get_dict")
            and hasattr(config, "_mark_get_dict_dirty")
            and "_get_dict_dirty_keys_var" in vars(config)
        )

    def remove(self) -> None:
        super().remove()
        # All is to be read again here: then a `config.patch` of the option that ends later, in
        # torch 2.15, does not note the option as one that is to be read.
        vars(self.config)["_get_dict_dirty_keys_var"].set(None)

    def set_default(self, value: Any, key: str = OPTION) -> None:
        super().set_default(value, key)
        if key == OPTION:  # no thread keeps it
            return
        # No thread reaches what another one keeps, but all of them reach torch's variable through
        # the config: with a new one in its place every thread starts afresh.
        name = f"{self.config.__name__}._get_dict_dirty_keys"
        vars(self.config)["_get_dict_dirty_keys_var"] = ContextVar(name, default=None)

    def write(self, key: str, value: Any) -> Any:
        prior = super().write(key, value)
        self.config._mark_get_dict_dirty(key)
        return prior

    def restore(self, key: str, prior: Any) -> None:
        super().restore(key, prior)
        self.config._mark_get_dict_dirty(key)
