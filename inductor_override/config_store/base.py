"""What the package needs of Inductor's config, however a release keeps its values.

`write` returns a "prior": what the store held, "nothing assigned" included. Restoring a prior
leaves an option to which nobody had assigned as one to which nobody has assigned, which torch's
own `config.patch` does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, ClassVar

from inductor_override.request.names import OPTION, TORCH_DECIDES


class Default(int):
    """The process-wide value of the package's option, told apart from what someone assigns.

    At its end torch's `config.patch` (before 2.15) assigns what it found; so does each compile with
    `torch.compile(options=)`, in its thread. Nobody asked for that assignment: it must not win over
    the process-wide value of later on. So assigning a `Default` counts as assigning nothing.
    """


class ConfigStore(ABC):
    """Inductor's config, seen as a store of options.

    Args:
        config: `torch._inductor.config`.
    """

    kind: ClassVar[str]
    """How this store is named in messages."""

    per_context: ClassVar[bool] = False
    """Whether a value is seen only in the thread (or asyncio task) that wrote it."""

    default_is_value: ClassVar[bool] = False
    """Whether default and value are one, so that a new default overwrites an open scope's value."""

    def __init__(self, config: ModuleType) -> None:
        self.config = config

    @classmethod
    @abstractmethod
    def fits(cls, config: ModuleType) -> bool:
        """Whether this config keeps its values as this store expects."""

    def has(self, key: str) -> bool:
        """Whether the config has this option."""
        return key in vars(self.config)["_config"]

    def read(self, key: str) -> Any:
        """The value of an option here, as torch reads it."""
        return getattr(self.config, key)

    @abstractmethod
    def min_sms(self) -> Any:
        """The value of the package's option here. The gate asks: torch's way takes much longer."""

    def in_keys(self) -> bool:
        """Whether the package's option belongs in torch's cache keys here: not where torch decides.

        A compile for which torch decides shares torch's own artifacts.
        """
        return bool(self.min_sms() != TORCH_DECIDES)

    @abstractmethod
    def add(self, default: int) -> None:
        """Add the package's option with this process-wide default."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the package's option. Can be called again, as everything that undoes."""

    @abstractmethod
    def default(self, key: str) -> Any:
        """The process-wide default of an option."""

    @abstractmethod
    def set_default(self, value: Any, key: str = OPTION) -> None:
        """Change the process-wide default of an option, for every thread."""

    @abstractmethod
    def prior(self, key: str) -> Any:
        """What `restore` needs to put an option back, as long as it has not been written."""

    @abstractmethod
    def value_of(self, key: str, prior: Any) -> Any:
        """The value that an option would have after `restore` with this prior."""

    @abstractmethod
    def write(self, key: str, value: Any) -> Any:
        """Set an option here; return its prior."""

    @abstractmethod
    def restore(self, key: str, prior: Any) -> None:
        """Put an option back to what it was when `write` returned this prior."""
