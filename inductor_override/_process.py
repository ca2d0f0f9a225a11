"""What was asked for the whole process, kept apart so that it is there before Inductor is."""

from __future__ import annotations

from collections.abc import Callable

from inductor_override._names import TORCH_DECIDES


class ProcessWide:
    """Written by the environment's side before Inductor is imported, by the installation after."""

    def __init__(self) -> None:
        self.min_sms = TORCH_DECIDES
        """What `enable` or the environment asked for."""
        self.waiting = False
        """Whether the environment's value waits for torch to import Inductor."""
        self.installed = False
        """Whether the option is in Inductor's config."""
        self.problem: str | None = None
        """Why the environment's value is not in force."""
        self.arranged = False
        """Whether the environment was read when torch was imported."""
        self.taken_back_by_disable: list[Callable[[], object]] = []


process = ProcessWide()
