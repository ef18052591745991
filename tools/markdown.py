"""Takes rows, gives tables of Markdown, and puts them into the text of a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A line a row; an empty cell is a dash."""
    lines = (head, tuple("---" for _ in head), *rows)
    return "".join(f"| {' | '.join(cell or '–' for cell in line)} |\n" for line in lines)


def filled(text: str, tables: Mapping[str, str]) -> str:
    """The text with its table between each ``<!-- NAME -->`` and ``<!-- end -->``. KeyError for a name without one."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{tables[found[2]]}{found[3]}",
        text,
        flags=re.DOTALL,
    )
