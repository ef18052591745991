"""Takes the name of a query, gives its text; takes a document, gives it as it stands in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "deploy" / "azure"


def query(name: str) -> str:
    """The KQL of ``queries/NAME.kql``."""
    return (FOLDER / "queries" / f"{name}.kql").read_text(encoding="utf-8").strip()


def text(document: Any) -> str:
    """JSON as people read it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
