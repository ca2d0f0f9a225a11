"""Put on the path of Python children by `inductor-override run`; Python imports it at start-up.

It arranges for the override, takes itself off this process's path, and then lets the user's own
`sitecustomize` run, as if it had never been here. Nothing that fails here may stop the program.
"""

from __future__ import annotations

import os
import sys


def _arrange() -> None:
    try:
        from inductor_override.autoload import activate
    except ImportError as error:
        print(
            f"inductor-override: not in force in {sys.executable}: {error}. "
            "Install inductor-override in that environment too",
            file=sys.stderr,
        )
        return
    activate()


def _hand_over() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_arrange()
_hand_over()
