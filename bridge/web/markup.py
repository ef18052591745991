"""Takes texts and attributes, gives HTML in which every text is escaped: what came from outside cannot become markup.

It is ASCII, the rest are character references: a page of one byte a character costs half the memory.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import NamedTuple

_VOID = frozenset({"link", "meta"})  # of those used here ("void elements" of the HTML standard)


class Html(NamedTuple):
    """Markup that is ready: only ``tag`` and ``join`` make it."""

    text: str


Content = str | Html


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Html:
    """An element. ``class_`` is class, ``aria_label`` aria-label; True is a bare attribute, None and False none."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_escaped(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    end = "" if name in _VOID else f"</{name}>"
    return Html(f"<{name}{given}>{join(content).text}{end}")


def join(content: Iterable[Content]) -> Html:
    """One after the other."""
    return Html("".join(one.text if isinstance(one, Html) else _escaped(one) for one in content))


def _escaped(text: str) -> str:
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode("ascii")
