"""Dynamo's precompile cache, which does not know that there are options of Inductor's."""

from __future__ import annotations

import sys

from inductor_override._notices import say_once

WARNING = (
    "torch._dynamo.config.caching_precompile is on: that cache keeps functions by their source, "
    "without Inductor's options: what was compiled without the override is served with it, and the "
    "other way round. Switch it off, or use another TORCHINDUCTOR_CACHE_DIR for each"
)


def say_if_on() -> None:
    if is_on():
        say_once(WARNING)


def is_on() -> bool:
    """Whether Dynamo keeps compiled functions on disk (from torch 2.8 on, off by default)."""
    dynamo = sys.modules.get("torch._dynamo.config")
    options = vars(dynamo).get("_config", ()) if dynamo is not None else ()
    return "caching_precompile" in options and bool(getattr(dynamo, "caching_precompile", False))
