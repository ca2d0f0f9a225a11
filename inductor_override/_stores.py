"""Which store is behind Inductor's config.

Where a config keeps its values changed three times:

===========  ======================================================  ==========================
torch        store                                                   upstream
===========  ======================================================  ==========================
2.0 - 2.5    plain dicts: ``_config``, ``_default``, ``_allowed_keys``
2.6 - 2.11   one ``_ConfigEntry`` per option                         pytorch/pytorch#138758
2.12 on      the same; a user's value lives in a ``ContextVar``      pytorch/pytorch#173568
2.13 on      and each thread caches the whole config as a dict       pytorch/pytorch#181159
===========  ======================================================  ==========================
"""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType

from inductor_override._store import ConfigStore
from inductor_override._store_caches import CACHES
from inductor_override._store_dicts import PlainDicts
from inductor_override._store_entries import ContextEntries, Entries


def store_of(config: ModuleType) -> ConfigStore | None:
    """The store behind Inductor's config, told by what it is made of. None: not known."""
    held = vars(config)
    options = held.get("_config")
    if not isinstance(options, dict) or not options:
        return None
    if isinstance(held.get("_allowed_keys"), set):
        return PlainDicts(config)
    entry = next(iter(options.values()))
    if not (hasattr(entry, "user_override") and hasattr(entry, "default")):
        return None
    if not isinstance(entry.user_override, ContextVar):
        return Entries(config) if "_is_dirty" in held else None
    cached = [name in held for name in CACHES]
    if all(cached) and hasattr(config, "_mark_get_dict_dirty"):
        return ContextEntries(config)
    return ContextEntries(config) if "_is_dirty" in held and not any(cached) else None
