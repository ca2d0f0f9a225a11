"""What is wrong with what the user asks about."""

from __future__ import annotations


class WorkloadError(ValueError):
    """The model or its inputs cannot be used; the message says what to write instead.

    Attributes:
        detail: the user's own part of a traceback, or torch's reason; empty if there is none.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        self.detail = detail
        super().__init__(message)
