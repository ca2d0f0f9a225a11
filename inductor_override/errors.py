"""What the package raises and warns with."""

from __future__ import annotations

from collections.abc import Sequence


class UnsupportedTorchError(RuntimeError):
    """The override cannot work with what is installed here. Nothing was changed.

    Attributes:
        torch_version: the version string of the torch that was found.
        known: the range of releases that the package was written for, as text.
        differences: one sentence for each thing that is not as a patch module expects it.
    """

    def __init__(
        self, torch_version: str, known: str, differences: Sequence[str], remedy: str | None = None
    ) -> None:
        self.torch_version = torch_version
        self.known = known
        self.differences = tuple(differences)
        listed = "; ".join(self.differences)
        super().__init__(
            f"torch {torch_version} is not supported: {listed}. Known: torch {known}. "
            "Nothing was changed. Look for a newer inductor-override, or install a known torch."
            if remedy is None
            else f"{listed}. Nothing was changed. {remedy}"
        )


class NoEffectWarning(UserWarning):
    """A scope ended and no graph was compiled in it, so the override had no effect."""
