"""Whether `run` reaches a command: it does by a `sitecustomize` on PYTHONPATH.

From torch 2.5 on torch reads the variable itself at its import, wherever PYTHONPATH does not reach.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import metadata

_END_OF_OPTIONS = "cm"
_WITH_VALUE = "WX"
_NO_STARTUP = "IES"
"""-I and -E ignore PYTHONPATH; -S imports no `sitecustomize`."""

# Both put a `sitecustomize` of their own in front, which does not run the next one.
_LAUNCHERS = ("opentelemetry-instrument", "ddtrace-run")


def notice(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What to tell the user about a command that is not reached, or None."""
    program = os.path.basename(command[0])
    if program.startswith("python") and (flag := python_flag(command[1:])):
        return (
            f"{command[0]} {flag} does not load what `run` puts on PYTHONPATH: the override is on "
            "in it only where torch reads the variable itself (torch 2.5 and later, "
            "TORCH_DEVICE_BACKEND_AUTOLOAD not 0)"
        )
    if program in _LAUNCHERS and not _torch_reads_the_variable(environment):
        return (
            f"{program} puts a sitecustomize of its own in front, so the override is not on in its "
            f"children. Write `{program} inductor-override run -- ...`"
        )
    return None


def python_flag(words: Sequence[str]) -> str | None:
    """The first flag of a Python command line that keeps `sitecustomize` out, as `-I`; or None.

    Args:
        words: what follows the interpreter. Flags end where the program begins, as Python says.
    """
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--check-hash-based-pycs":
            left[:1] = []
        elif not word.startswith("-") or word in ("-", "--"):
            return None
        elif not word.startswith("--"):
            for place, letter in enumerate(word[1:], start=2):
                if letter in _END_OF_OPTIONS:
                    return None
                if letter in _NO_STARTUP:
                    return f"-{letter}"
                if letter in _WITH_VALUE:
                    if place == len(word):  # the value is the next word
                        left[:1] = []
                    break
    return None


def _torch_reads_the_variable(environment: Mapping[str, str]) -> bool:
    if environment.get("TORCH_DEVICE_BACKEND_AUTOLOAD") == "0":
        return False
    try:
        release = metadata.version("torch").split(".")[:2]
        return [int(part) for part in release] >= [2, 5]
    except (metadata.PackageNotFoundError, ValueError):
        return True
