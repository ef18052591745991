"""Takes docs/own-metrics.md, gives it with the tables that bridge/instruments.py says: ``python -m tools.own_metrics``."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import ProcessCollector

from bridge.instruments import TABLE
from tools import markdown

DOCUMENT = Path(__file__).parents[1] / "docs" / "own-metrics.md"


def filled(text: str) -> str:
    """The text with a table between each ``<!-- NAME -->`` and ``<!-- end -->``. KeyError for a name without one."""
    tables = {
        "own": markdown.table(
            ("metric", "kind", "labels", "meaning"),
            ((f"`{own.name}`", own.kind.value, f"`{own.label}`" if own.label else "", own.help) for own in TABLE),
        ),
        "labels": markdown.table(
            ("label", "of", "values"),
            (
                (f"`{own.label}`", f"`{own.name}`", " ".join(f"`{value}`" for value in own.values))
                for own in TABLE
                if own.label and own.label != "version"
            ),
        ),
        "process": markdown.table(
            ("metric", "kind", "meaning"),
            (
                (f"`{sample.name}`", family.type, family.documentation)
                for family in ProcessCollector(registry=None).collect()
                for sample in family.samples
            ),
        ),
    }
    return markdown.filled(text, tables)


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
