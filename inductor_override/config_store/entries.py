"""Inductor's config from torch 2.6 on: an entry for each option."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from inductor_override.config_store.base import ConfigStore, Default
from inductor_override.config_store.stand_ins import StandIns, view
from inductor_override.request.names import OPTION, TORCH_DECIDES


class Entries(ConfigStore):
    """torch 2.6 to 2.11: an entry for each option, its value for the whole process.

    torch reads the whole config with `_get_dict`: for the keys of its caches, and to copy it. A
    stand-in shows torch the config without the package's option, and adds the option where it
    counts. So nothing that torch keeps of the config ever holds the option, and nothing has to be
    forgotten when the option comes, goes, or changes in another thread. (torch has a hash of the
    config too, `get_hash`, which nothing in torch asks for: it is left alone.)
    """

    kind = "entries"

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        self._torchs = sys.modules["torch.utils._config_module"]
        self._unset = vars(self._torchs)["_UNSET_SENTINEL"]
        self._stand_ins = StandIns(
            config,
            {
                "_get_dict": self._get_dict,
                "_mark_get_dict_dirty": self._mark_get_dict_dirty,
            },
        )

    @classmethod
    def fits(cls, config: ModuleType) -> bool:
        entry = any_entry(config)
        return (
            hasattr(entry, "default")
            and hasattr(entry, "user_override")
            and not isinstance(entry.user_override, ContextVar)
            and hasattr(config, "_get_dict")
            and "_is_dirty" in vars(config)
        )

    def add(self, default: int) -> None:
        held = vars(self.config)
        self._stand_ins.put_on()
        # A new dict instead of a new key: another thread may be walking through the old dict.
        held["_config"] = {**held["_config"], OPTION: self._new_entry(Default(default))}

    def remove(self) -> None:
        options = vars(self.config)["_config"].copy()
        options.pop(OPTION, None)
        vars(self.config)["_config"] = options
        self._stand_ins.take_off()

    def default(self, key: str) -> Any:
        return self._entry(key).default

    def set_default(self, value: Any, key: str = OPTION) -> None:
        entry = self._entry(key)
        assigned = self._assigned(entry)
        # At the first read of such an option torch assigns a copy of the default.
        of_torchs = isinstance(entry.default, (list, set, dict)) and assigned == entry.default
        if of_torchs or type(assigned) is Default:
            self._assign(entry, self._unset)
        entry.default = Default(value) if key == OPTION else value

    def prior(self, key: str) -> Any:
        entry = self._entry(key)
        return self.read(key) if is_alias(entry) else self._assigned(entry)

    def value_of(self, key: str, prior: Any) -> Any:
        return self._entry(key).default if self._is_unset(prior) else prior

    def write(self, key: str, value: Any) -> Any:
        prior = self.prior(key)
        setattr(self.config, key, value)
        return prior

    def restore(self, key: str, prior: Any) -> None:
        entry = self._entry(key)
        if is_alias(entry):
            setattr(self.config, key, prior)
        else:
            self._assign(entry, self._unset if self._is_unset(prior) else prior)

    def min_sms(self) -> Any:
        # The option has no alias, no environment variable of torch's, and no mutable default.
        entry = vars(self.config)["_config"].get(OPTION)
        if entry is None:  # removed by another thread just now
            return TORCH_DECIDES
        value = self._assigned(entry)
        return int(entry.default) if self._is_unset(value) else value

    def _get_dict(
        self, method: Any, ignored_keys: Any = None, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """torch's `_get_dict`, with the option in keys only where the gate goes by it."""
        found: dict[str, Any] = method(self._without_option(), ignored_keys, *args, **kwargs)
        # Without arguments torch makes a copy, in which `torch.compile(options=)` looks for names.
        is_copy = ignored_keys is None and not args and not kwargs
        if OPTION not in (ignored_keys or ()) and (is_copy or self.in_keys()) and self.has(OPTION):
            found[OPTION] = self.min_sms()
        return found

    def _without_option(self) -> ModuleType:
        options = vars(self.config)["_config"].copy()
        options.pop(OPTION, None)
        return view(self.config, options)

    def _mark_get_dict_dirty(self, method: Any, name: str) -> None:
        """From torch 2.13 on: note which option a thread has to read again.

        Skips the package's option: by the next read it may have been removed.
        """
        if name != OPTION:
            method(self.config, name)

    def _entry(self, key: str) -> Any:
        return vars(self.config)["_config"][key]

    @staticmethod
    def _assigned(entry: Any) -> Any:
        return entry.user_override

    @staticmethod
    def _assign(entry: Any, value: Any) -> None:
        entry.user_override = value

    def _new_entry(self, default: Default, *name: str) -> Any:
        return self._torchs._ConfigEntry(
            self._torchs.Config(default=default, value_type=int), *name
        )

    def _is_unset(self, assigned: object) -> bool:
        return assigned is self._unset or type(assigned) is Default


def any_entry(config: ModuleType) -> Any:
    """One of the config's entries, which are all of one type; None if there is none."""
    options = vars(config).get("_config")
    return next(iter(options.values()), None) if isinstance(options, dict) else None


def is_alias(entry: Any) -> bool:
    """Whether the option is kept in another config module (from torch 2.7 on)."""
    return getattr(entry, "alias", None) is not None
