"""Adding one option to Inductor's config, reading and writing options, leaving no trace.

Where a config keeps its values changed three times:

===========  ======================================================  ==========================
torch        store                                                   upstream
===========  ======================================================  ==========================
2.0 - 2.5    plain dicts: ``_config``, ``_default``, ``_allowed_keys``
2.6 - 2.11   one ``_ConfigEntry`` per option                         pytorch/pytorch#138758
2.12 on      the same; a user's value lives in a ``ContextVar``      pytorch/pytorch#173568
2.13 on      and each thread caches the whole config as a dict       pytorch/pytorch#181159
===========  ======================================================  ==========================

`write` returns a "prior": what the store held, "not set" included. Restoring it leaves an option
that nobody had set as one that nobody has set, which `config.patch` does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextvars import ContextVar
from types import ModuleType
from typing import Any, ClassVar

from inductor_override._names import OPTION


class ConfigStore(ABC):
    """Inductor's config, seen as a store of options."""

    kind: str
    """How this store is named in patch modules and messages."""

    per_context = False
    """Whether a value is seen only in the thread (or asyncio task) that wrote it."""

    default_is_value = False
    """Whether default and value are one, so that a new default overwrites an open scope's value."""

    def __init__(self, config: ModuleType) -> None:
        self.config = config

    def has(self, key: str) -> bool:
        return key in vars(self.config)["_config"]

    def read(self, key: str) -> Any:
        return getattr(self.config, key)

    def min_sms(self) -> Any:
        """The package's own option, for the gate: torch's way to read takes much longer."""
        return self.read(OPTION)

    @abstractmethod
    def add(self, default: int) -> None:
        """Add the package's option, with this process-wide default."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the package's option and whatever is kept about it."""

    @abstractmethod
    def default(self) -> int:
        """The process-wide default of the option of the package's name."""

    @abstractmethod
    def set_default(self, value: Any, key: str = OPTION) -> None:
        """Change the process-wide default of an option."""

    def unset_if_default(self) -> None:  # noqa: B027  (where default and value are one: nothing)
        """Forget the package's option here if what is assigned is the default.

        At its end torch's `config.patch` (before 2.15) assigns what it found; so does each compile
        with `torch.compile(options=)`. No one asked for that: it must not rule over a new default.
        """

    @abstractmethod
    def write(self, key: str, value: Any) -> Any:
        """Set an option here; return its prior."""

    @abstractmethod
    def restore(self, key: str, prior: Any) -> None:
        """Put an option back to what it was when `write` returned this prior."""


class PlainDicts(ConfigStore):
    """torch 2.0 to 2.5: the value itself in a dict, for the whole process."""

    kind = "plain dicts"
    default_is_value = True

    def has(self, key: str) -> bool:
        # Not by `_config`: `load_config` puts keys there which the config does not have.
        return key in vars(self.config)["_allowed_keys"]

    def add(self, default: int) -> None:
        vars(self.config)["_allowed_keys"].add(OPTION)
        self.set_default(default)

    def remove(self) -> None:
        held = vars(self.config)
        held["_config"].pop(OPTION, None)
        held["_allowed_keys"].discard(OPTION)
        # The default stays. `load_config` and `config.patch` can bring the key back from a copy,
        # and each compile of 2.5 looks for the default of each key.
        self._changed()

    def default(self) -> int:
        held = vars(self.config)
        return held.get("_default", held["_config"])[OPTION]  # type: ignore[no-any-return]

    def set_default(self, value: Any, key: str = OPTION) -> None:
        held = vars(self.config)
        if "_default" in held:  # from 2.1 on
            held["_default"][key] = value
        self.write(key, value)

    def write(self, key: str, value: Any) -> Any:
        options = vars(self.config)["_config"]
        prior = options.get(key)
        options[key] = value
        self._changed()
        return prior

    def restore(self, key: str, prior: Any) -> None:
        self.write(key, prior)

    def _changed(self) -> None:
        # From 2.2 to 2.5 a hash is kept, and only `config.patch` marks it as out of date.
        if "_is_dirty" in vars(self.config):
            self.config._is_dirty = True  # type: ignore[attr-defined]


class Entries(ConfigStore):
    """torch 2.6 to 2.11: an entry per option, its value for the whole process."""

    kind = "entries"

    def add(self, default: int) -> None:
        from torch.utils import _config_module

        self._before = vars(self.config)["_config"]
        # A new dict instead of a new key: another thread may be walking through the old one.
        self._with = {**self._before, OPTION: self._new_entry(_config_module, default)}
        vars(self.config)["_config"] = self._with
        self._changed()

    def remove(self) -> None:
        now = vars(self.config)["_config"]
        untouched = now is self._with and len(now) == len(self._before) + 1
        vars(self.config)["_config"] = (
            self._before if untouched else {k: v for k, v in now.items() if k != OPTION}
        )
        self._changed()

    def default(self) -> int:
        return self._entry(OPTION).default  # type: ignore[no-any-return]

    def set_default(self, value: Any, key: str = OPTION) -> None:
        self._entry(key).default = value
        self._changed()

    def unset_if_default(self) -> None:
        entry = self._entry(OPTION)
        if entry.user_override == entry.default:
            entry.user_override = self._unset()
            self._changed()

    @staticmethod
    def _unset() -> object:
        from torch.utils import _config_module

        return _config_module._UNSET_SENTINEL

    def write(self, key: str, value: Any) -> Any:
        entry = self._entry(key)
        prior = self.read(key) if self._is_alias(entry) else entry.user_override
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
        return entry.default if type(entry.user_override) is object else entry.user_override

    def _entry(self, key: str) -> Any:
        return vars(self.config)["_config"][key]

    @staticmethod
    def _is_alias(entry: Any) -> bool:
        return getattr(entry, "alias", None) is not None  # from 2.7 on

    def _new_entry(self, module: Any, default: int) -> Any:
        return module._ConfigEntry(module.Config(default=default))

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
        "_hash_cache_var": None,
    }

    def write(self, key: str, value: Any) -> Any:
        entry = self._entry(key)
        if self._is_alias(entry) or key in vars(self.config).get("_implication_sources", ()):
            prior = (None, self.read(key))
            setattr(self.config, key, value)
            return prior
        # Not by `setattr`: there is a package that makes each one process-wide, and such a value
        # would outlive the scope (unslothai/unsloth#7019).
        unset_or_set = entry.user_override.get()
        prior = (entry.user_override.set(value), unset_or_set)
        if entry.hide:
            entry.hide = False
        self._changed_here(key)
        return prior

    def restore(self, key: str, prior: Any) -> None:
        token, value = prior
        if token is None:
            setattr(self.config, key, value)
            return
        override = self._entry(key).user_override
        try:
            # Unlike `set`, leaves nothing behind in the thread's context.
            override.reset(token)
        except (ValueError, RuntimeError):  # a task that was started in the scope: another context
            override.set(value)
        self._changed_here(key)

    def min_sms(self) -> Any:
        entry = self._entry(OPTION)
        value = entry.user_override.get()
        return entry.default if type(value) is object else value

    def unset_if_default(self) -> None:
        entry = self._entry(OPTION)
        if entry.user_override.get() == entry.default:
            entry.user_override.set(self._unset())
            self._changed_here(OPTION)

    def _new_entry(self, module: Any, default: int) -> Any:
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
        another's context, but all of them reach it through these four attributes.
        """
        held = vars(self.config)
        if "_get_dict_cache_var" not in held:  # 2.12
            self._is_dirty_for_all()
            return
        if held["_get_dict_cache_var"].get() is not None:
            held["_get_dict_cache_var"].set(None)  # not to keep a whole config alive here
        # The dirty keys first: a thread that is between the two reads then finds "all is dirty"
        # and reads everything again.
        for name, default in self._CACHES.items():
            setattr(self.config, name, ContextVar(held[name].name, default=default))

    def _is_dirty_for_all(self) -> None:
        self.config._is_dirty = True  # type: ignore[attr-defined]


def store_of(config: ModuleType) -> ConfigStore | None:
    """The store behind Inductor's config, told by what it is made of. None: not known."""
    held = vars(config)
    options = held.get("_config")
    if not isinstance(options, dict) or not options:
        return None
    if isinstance(held.get("_allowed_keys"), set):
        return PlainDicts(config)
    entry = next(iter(options.values()))
    if not (hasattr(entry, "user_override") and hasattr(entry, "default")):
        return None
    if not isinstance(entry.user_override, ContextVar):
        return Entries(config) if "_is_dirty" in held else None
    cached = [name in held for name in ContextEntries._CACHES]
    if all(cached) and hasattr(config, "_mark_get_dict_dirty"):
        return ContextEntries(config)
    return ContextEntries(config) if "_is_dirty" in held and not any(cached) else None
