"""Put on the path of Python children by `inductor-override run`; Python imports it at start-up.

It arranges for the override, takes itself off this process's path, and then lets the user's own
`sitecustomize` run, as if this one were not there. Nothing that fails here may stop the program.
"""

from __future__ import annotations

import os
import sys


def _arrange() -> None:
    try:
        from inductor_override.install import on_import
    except ImportError as error:
        print(
            f"inductor-override: the override is off in {sys.executable}: {error}. "
            "Install inductor-override in that environment too",
            file=sys.stderr,
        )
        return
    on_import.wait()


def _hand_over() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if this is not None:
            sys.modules["sitecustomize"] = this


_arrange()
_hand_over()
