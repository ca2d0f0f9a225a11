"""What a comparison raises."""

from __future__ import annotations


class ComparisonError(Exception):
    """The comparison cannot be made as it was asked for.

    Attributes:
        detail: what a program printed, for the lines below the message.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        self.detail = detail
        super().__init__(message)
