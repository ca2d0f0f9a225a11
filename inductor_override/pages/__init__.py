"""HTML pages: one file each, readable without a network, by someone who was not there."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
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


def in_a_notebook(title: str, verdicts: Iterable[tuple[str, str, str]]) -> str:
    """A short table: of each, its name, its verdict, and the sentence for it."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{verdict}</td>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, verdict, text in verdicts
    )
    return f"<p><code>{html.escape(title)}</code></p><table>{rows}</table>"
