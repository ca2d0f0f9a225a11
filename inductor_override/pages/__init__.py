"""HTML pages: one file each, readable without a network, by someone who was not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

_PAGE, _FRAME = "page.html.jinja", "frame.html.jinja"


def render(package: str, filters: Mapping[str, Callable[..., str]], **facts: Any) -> str:
    """The page of a package: its own `page.html.jinja` in the frame that all pages share."""
    sources = {
        _FRAME: resources.files(__name__).joinpath(_FRAME).read_text("utf-8"),
        _PAGE: resources.files(package).joinpath(_PAGE).read_text("utf-8"),
    }
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= filters
    return environment.get_template(_PAGE).render(**facts)
