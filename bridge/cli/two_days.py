"""Takes the timeline of ``/status.json``, gives what a terminal shows of it: a line of characters, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.columns import Columns
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.account import Fate
from bridge.cli.bars import timeline
from bridge.cli.wording import length
from bridge.web.charts import FATES, SPAN
from bridge.web.writing import clock

_SHOWN = 5  # stretches
_CELLS = (144, 96, 72, 48, 24, 12)  # of 48 h: whole numbers of minutes
MARKS: Mapping[Fate, tuple[str, str]] = {  # told apart without colours too
    Fate.DELIVERED: ("█", "green"),
    Fate.REPAIRED: ("▒", "cyan"),
    Fate.NOTHING: ("-", "dim"),
    Fate.REJECTED: ("%", "yellow"),
    Fate.NO_DATA: ("·", "dim"),
    Fate.WAITING: ("~", "yellow"),
    Fate.UNKNOWN: ("?", "magenta"),
    Fate.EXPIRED: ("x", "red"),
}
NOT_DUE = ("_", "dim")
_MISSING = (Fate.REJECTED, Fate.NO_DATA, Fate.UNKNOWN, Fate.EXPIRED)


def two_days(document: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """The line, its legend, and the stretches of which something is missing in Azure for good, newest first."""
    now = document["now"]
    stretches = [(start, end, Fate(fate)) for start, end, fate in document["timeline"]]
    cells = _cells(width)
    fates = list(timeline(stretches, now, cells))
    scale = "48 h ago".ljust(cells // 2 - 4) + "24 h ago".ljust(cells - cells // 2 + 1) + "now"
    line = Text.assemble(*(NOT_DUE if fate is None else MARKS[fate] for fate in fates))
    yield Text("\n").join((line, Text(scale, "dim")))
    seen = ((MARKS[fate], FATES[fate].partition(":")[0]) for fate in FATES if fate in fates)
    unseen = ((NOT_DUE, "nothing was due"),) if None in fates else ()
    legend = (Text.assemble(mark, f" {words}") for mark, words in (*seen, *unseen))
    yield Columns(legend, padding=(0, 2))
    missing = [one for one in reversed(stretches) if one[2] in _MISSING]
    if not missing:
        yield Text("No cycle is missing in Azure for good.")
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for start, end, fate in missing[:_SHOWN]:
        table.add_row(MARKS[fate][0], f"{clock(start, now)} to {clock(end, now)}", length(end - start), FATES[fate])
    yield table
    if len(missing) > _SHOWN:
        yield Text(f"and {len(missing) - _SHOWN} more, on the page", "dim")


def a_character(width: int) -> str:
    """How long a stretch one of its characters is."""
    return length(SPAN / _cells(width))


def _cells(width: int) -> int:
    return next((count for count in _CELLS if count <= width - 2), _CELLS[-1])
