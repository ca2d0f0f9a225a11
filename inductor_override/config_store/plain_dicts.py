"""Inductor's config until torch 2.5: plain dicts."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.stand_ins import StandIns, view
from inductor_override.request.names import OPTION, TORCH_DECIDES


class PlainDicts(ConfigStore):
    """torch 2.0 to 2.5: the value itself in a dict, for the whole process.

    torch reads the whole config for the keys of its caches (2.2 on) and to copy it in each compile
    (2.4 on). Stand-ins give those readers a copy of the dict: without the option where torch
    decides, and safe from options that come and go in another thread.
    """

    kind = "plain dicts"
    default_is_value = True

    def __init__(self, config: ModuleType) -> None:
        super().__init__(config)
        keys = ("save_config", "save_config_portable", "codegen_config")
        self._stand_ins = StandIns(
            config, {**dict.fromkeys(keys, self._for_keys), "get_config_copy": self._for_copy}
        )

    @classmethod
    def fits(cls, config: ModuleType) -> bool:
        held = vars(config)
        return isinstance(held.get("_config"), dict) and isinstance(held.get("_allowed_keys"), set)

    def has(self, key: str) -> bool:
        # Not by `_config`: `load_config` puts keys there which the config does not have.
        return key in vars(self.config)["_allowed_keys"]

    def add(self, default: int) -> None:
        self._stand_ins.put_on()
        vars(self.config)["_allowed_keys"].add(OPTION)
        if "_default" in vars(self.config):  # from 2.1 on
            vars(self.config)["_default"][OPTION] = default
        self._exchange({OPTION: default})

    def remove(self) -> None:
        self._exchange({})
        vars(self.config)["_allowed_keys"].discard(OPTION)
        # The default stays. `load_config` and `config.patch` can bring the key back from a copy,
        # and `codegen_config` looks for the default of each key.
        self._stand_ins.take_off()

    def _exchange(self, own: dict[str, Any]) -> None:
        """Put a new dict in place of torch's, with or without the package's option.

        In place the dict would change its size while a thread that compiles copies it.
        """
        held = vars(self.config)
        options = held["_config"].copy()
        options.pop(OPTION, None)
        held["_config"] = options | own

    def min_sms(self) -> Any:
        return vars(self.config)["_config"].get(OPTION, TORCH_DECIDES)

    def default(self, key: str) -> Any:
        held = vars(self.config)
        return held.get("_default", held["_config"])[key]

    def set_default(self, value: Any, key: str = OPTION) -> None:
        held = vars(self.config)
        if "_default" in held:  # from 2.1 on
            held["_default"][key] = value
        self.write(key, value)

    def prior(self, key: str) -> Any:
        return vars(self.config)["_config"].get(key)

    def value_of(self, key: str, prior: Any) -> Any:
        return prior

    def write(self, key: str, value: Any) -> Any:
        options = vars(self.config)["_config"]
        prior = options.get(key)
        options[key] = value
        return prior

    def restore(self, key: str, prior: Any) -> None:
        self.write(key, prior)

    def _for_keys(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._read_a_copy(method, self.in_keys(), *args, **kwargs)

    def _for_copy(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._read_a_copy(method, True, *args, **kwargs)

    def _read_a_copy(self, method: Any, with_option: bool, *args: Any, **kwargs: Any) -> Any:
        options = vars(self.config)["_config"].copy()
        if not with_option:
            options.pop(OPTION, None)
        return method(view(self.config, options), *args, **kwargs)
