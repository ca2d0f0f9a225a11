"""Inductor's config until torch 2.5: plain dicts."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from inductor_override._names import OPTION
from inductor_override._store import ConfigStore, Default
from inductor_override._store_reads import WholeReads

_READERS = ("get_config_copy", "save_config_portable", "get_hash", "codegen_config")
"""Each compile of 2.4 and 2.5 calls the first two. Before, none reads the whole config so."""


class PlainDicts(ConfigStore):
    """torch 2.0 to 2.5: the value itself in a dict, for the whole process."""

    kind = "plain dicts"
    default_is_value = True

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        # From 2.2 on a hash is kept, and only `config.patch` marks it as out of date.
        self._keeps_hash = "_is_dirty" in vars(config)
        each_compile_reads = hasattr(type(config), "save_config_portable")
        self._reads = WholeReads(config, _READERS if each_compile_reads else ())

    def has(self, key: str) -> bool:
        # Not by `_config`: `load_config` puts keys there which the config does not have.
        return key in vars(self.config)["_allowed_keys"]

    def attach(self) -> None:
        self._reads.guard()
        self._reads.wait_for_unguarded()

    def detach(self) -> None:
        self._reads.unguard()

    def add(self, default: Default) -> None:
        with self._reads:
            # In place: a value that another thread assigns while the dict is exchanged is lost.
            vars(self.config)["_allowed_keys"].add(OPTION)
            self.set_default(default)

    def remove(self) -> None:
        held = vars(self.config)
        with self._reads:
            held["_config"].pop(OPTION, None)
            held["_allowed_keys"].discard(OPTION)
            # The default stays. `load_config` and `config.patch` can bring the key back from a
            # copy, and each compile of 2.5 looks for the default of each key.
            if self._keeps_hash:
                held["_is_dirty"] = True

    def default(self, key: str = OPTION) -> Any:
        held = vars(self.config)
        return held.get("_default", held["_config"])[key]

    def set_default(self, value: Any, key: str = OPTION) -> None:
        held = vars(self.config)
        if isinstance(value, Default):
            value = int(value)  # torch compares types, of values in this dict
        if "_default" in held:  # from 2.1 on
            held["_default"][key] = value
        self.write(key, value)

    def prior(self, key: str) -> Any:
        return vars(self.config)["_config"].get(key)

    def write(self, key: str, value: Any) -> Any:
        held = vars(self.config)
        options = held["_config"]
        prior = options.get(key)
        options[key] = value
        if self._keeps_hash:
            held["_is_dirty"] = True
        return prior

    def restore(self, key: str, prior: Any) -> None:
        self.write(key, prior)
