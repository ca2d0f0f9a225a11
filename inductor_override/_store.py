"""What the package needs of Inductor's config, however it keeps its values.

`write` returns a "prior": what the store held, "not set" included. Restoring it leaves an option
that nobody had set as one that nobody has set, which `config.patch` does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

from inductor_override._names import OPTION


class Default(int):
    """The process-wide value of the package's option, told apart from what someone assigns.

    At its end torch's `config.patch` (before 2.15) assigns what it found; so does each compile with
    `torch.compile(options=)`, in its thread. No one asked for that: it must not rule over the
    process-wide value of later on.
    """

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)  # to a process that may not have the package

    def __deepcopy__(self, memo: object) -> Default:
        return self  # torch 2.6 to 2.11 deepcopy what they read of the config


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
    def attach(self) -> None:
        """From now on the option may come and go, and be changed for everyone, whoever reads."""

    @abstractmethod
    def detach(self) -> None:
        """Undo `attach`. Like all that undoes something, it can be called again."""

    @abstractmethod
    def add(self, default: Default) -> None:
        """Add the package's option, with this process-wide default."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the package's option and whatever is kept about it."""

    @abstractmethod
    def default(self, key: str = OPTION) -> Any:
        """The process-wide default of an option."""

    @abstractmethod
    def set_default(self, value: Any, key: str = OPTION) -> None:
        """Change the process-wide default of an option."""

    def unset_if_default(self) -> None:  # noqa: B027  (where default and value are one: nothing)
        """Forget the package's option here if what is assigned is a `Default`, of now or before."""

    @abstractmethod
    def prior(self, key: str) -> Any:
        """What `restore` needs to put an option back, as long as it has not been written."""

    @abstractmethod
    def write(self, key: str, value: Any) -> Any:
        """Set an option here; return its prior."""

    @abstractmethod
    def restore(self, key: str, prior: Any) -> None:
        """Put an option back to what it was when `write` returned this prior."""
