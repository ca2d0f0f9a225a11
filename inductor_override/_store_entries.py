"""Inductor's config from torch 2.6 on: an entry for each option."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from inductor_override._names import OPTION
from inductor_override._store import ConfigStore, Default
from inductor_override._store_caches import caches_of
from inductor_override._store_reads import WholeReads


class Entries(ConfigStore):
    """torch 2.6 to 2.11: an entry per option, its value for the whole process."""

    kind = "entries"

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        # With `_get_dict` torch reads the whole config for its hash and its caches.
        self._reads = WholeReads(config, ("_get_dict",), self._make_plain)
        self._caches = caches_of(config)
        self._with: dict[str, Any] = {}

    def attach(self) -> None:
        self._reads.guard()
        self._reads.wait_for_unguarded()  # they keep what they read where torch finds it later on
        self._caches.attach()

    def detach(self) -> None:
        with self._reads:
            self._reads.unguard()
            self._caches.detach()

    def add(self, default: Default) -> None:
        from torch.utils import _config_module

        held = vars(self.config)
        self._before = held["_config"]
        # A new dict instead of a new key: another thread may be walking through the old one.
        self._with = {**self._before, OPTION: self._new_entry(_config_module, default)}
        held["_config"] = self._with
        setattr(type(self.config), OPTION, property(self._read_by_name))
        self._caches.forget()

    def remove(self) -> None:
        held = vars(self.config)
        if OPTION in vars(type(self.config)):
            delattr(type(self.config), OPTION)
        with self._reads:  # one that has begun must find our key to the end
            now = held["_config"]
            if now is self._with and len(now) == len(self._before) + 1:
                held["_config"] = self._before
            elif OPTION in now:
                held["_config"] = {k: v for k, v in now.items() if k != OPTION}
            self._caches.forget()

    def _read_by_name(self, config: Any) -> Any:
        """Read `torch._inductor.config.max_autotune_gemm_min_sms`.

        Only torch's `config.patch`, which asks `__getattr__` itself, is given a `Default`: what a
        user has read and assigns is an assignment.
        """
        return self._plain(config.__getattr__(OPTION))

    def default(self, key: str = OPTION) -> Any:
        return self._entry(key).default

    def set_default(self, value: Any, key: str = OPTION) -> None:
        self._entry(key).default = value
        self._caches.forget()

    def unset_if_default(self) -> None:
        from torch.utils import _config_module

        entry = self._entry(OPTION)
        if isinstance(self._assigned(entry), Default):
            self._assign(entry, _config_module._UNSET_SENTINEL)
            self._caches.forget_here(OPTION)

    @staticmethod
    def _assigned(entry: Any) -> Any:
        return entry.user_override

    @staticmethod
    def _assign(entry: Any, value: Any) -> None:
        entry.user_override = value

    def prior(self, key: str) -> Any:
        entry = self._entry(key)
        return self.read(key) if self._is_alias(entry) else self._assigned(entry)

    def write(self, key: str, value: Any) -> Any:
        prior = self.prior(key)
        setattr(self.config, key, value)
        return prior

    def restore(self, key: str, prior: Any) -> None:
        entry = self._entry(key)
        if self._is_alias(entry):
            setattr(self.config, key, prior)
        else:
            self._assign(entry, prior)
            self._caches.forget()

    def min_sms(self) -> Any:
        # It has no alias, no environment variable of torch's, and no mutable default.
        entry = self._entry(OPTION)
        value = self._assigned(entry)
        return entry.default if type(value) in (object, Default) else value

    def _make_plain(self, options: dict[str, Any]) -> None:
        """Keys of caches are made of it: with a `Default` in it, they would be others."""
        if OPTION in options:
            options[OPTION] = self._plain(options[OPTION])

    def _plain(self, value: Any) -> Any:
        if not isinstance(value, Default):
            return value
        entry = vars(self.config)["_config"].get(OPTION)
        return int(value if entry is None else entry.default)  # the newest

    def _entry(self, key: str) -> Any:
        return vars(self.config)["_config"][key]

    @staticmethod
    def _is_alias(entry: Any) -> bool:
        return getattr(entry, "alias", None) is not None  # from 2.7 on

    def _new_entry(self, module: Any, default: Default) -> Any:
        return module._ConfigEntry(module.Config(default=default, value_type=int))


class ContextEntries(Entries):
    """torch 2.12 on: an entry per option, its value in a `ContextVar`, so per thread."""

    kind = "entries per context"
    per_context = True

    def prior(self, key: str) -> Any:
        """Of which entry (ours comes and goes); what takes the value out, was assigned, is read."""
        entry = self._entry(key)
        assigned = self._assigned(entry)
        return entry, None, assigned, self.read(key) if self._by_torch(key, entry) else None

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
        assigned = self._assigned(entry)
        token = entry.user_override.set(value)
        if entry.hide:
            entry.hide = False
        self._caches.forget_here(key)
        return entry, token, assigned, None

    def restore(self, key: str, prior: Any) -> None:
        entry, token, assigned, seen = prior
        if self._by_torch(key, entry):
            setattr(self.config, key, seen)
            if self._is_alias(entry):
                return
        try:
            if token is None:
                self._assign(entry, assigned)
            else:  # unlike `set`, leaves nothing behind in the thread's context
                entry.user_override.reset(token)
        except (ValueError, RuntimeError):  # a task that was started in the scope: another context
            self._assign(entry, assigned)
        self._caches.forget_here(key)

    @staticmethod
    def _assigned(entry: Any) -> Any:
        return entry.user_override.get()

    @staticmethod
    def _assign(entry: Any, value: Any) -> None:
        entry.user_override.set(value)

    def _new_entry(self, module: Any, default: Default) -> Any:
        return module._ConfigEntry(module.Config(default=default, value_type=int), OPTION)
