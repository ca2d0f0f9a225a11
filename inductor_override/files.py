"""Writing a file whole."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(text: str, path: Path) -> None:
    """Replace a file at once: nobody finds half of one, whenever the process ends.

    Raises:
        OSError: it cannot be written there.
    """
    if path.exists() and not path.is_file():  # a pipe, or /dev/stdout: nothing to replace
        path.write_text(text, "utf-8")
        return
    target = path.resolve()  # where a link points to; the link stays
    written = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        written.write_text(text, "utf-8")
        written.replace(target)
    finally:
        with suppress(FileNotFoundError):
            written.unlink()
