"""Takes metrics.json, gives a Selection: what to ask for and under which names to send it.

The smallest form is fixed: ``{"customMetrics": ["a_metric", {"metric": "b", "mode": "increase"}, …]}``. All errors are
reported at once, each with its place.

    text ──document──▶ fields ──rules──▶ Entry … ▶ Selection
         (models, schema)   (between fields)
"""

from bridge.selection.entry import Aggregate, Entry, Grouping, Mode, Relabelling, Selection
from bridge.selection.file import SelectionFile, difference, load
from bridge.selection.ownership import Owners
from bridge.selection.parsing import parse

__all__ = [
    "Aggregate",
    "Entry",
    "Grouping",
    "Mode",
    "Owners",
    "Relabelling",
    "Selection",
    "SelectionFile",
    "difference",
    "load",
    "parse",
]
