"""Takes docs/metrics.md, gives it with the tables that bridge/triton.py says: ``python -m tools.metrics``."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.triton import EXPOSED, recorded
from tools import markdown

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"


def filled(text: str) -> str:
    """The text with a table between each ``<!-- NAME -->`` and ``<!-- end -->``. KeyError for a name without one."""
    tables = {
        "exposed": markdown.table(
            ("metric", "kind", "unit", "labels", "since", "needs", "meaning"),
            (
                (
                    f"`{one.name}`",
                    one.kind.value,
                    one.unit,
                    " ".join(one.labels),
                    one.since,
                    one.enabled_by,
                    one.meaning,
                )
                for one in EXPOSED
            ),
        ),
        "derived": markdown.table(
            ("metric", "formula", "unit", "meaning"),
            (
                (f"`{rule.name}`", _named(rule.formula), rule.unit, rule.meaning)
                for rule in recorded()
                if rule.file == "derived.yml"
            ),
        ),
    }
    return markdown.filled(text, tables)


def _named(formula: str) -> str:
    return re.sub(r"nv_\w+", r"`\g<0>`", formula)


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
