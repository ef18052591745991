"""Takes what pydantic finds wrong in a metrics.json, gives it in words for a person: place, problem, remedy."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from bridge.selection.entry import Aggregate, Mode

_SMALLEST = '{"customMetrics": ["nv_inference_request_success"]}'
_LONGEST_SHOWN = 80

_EXPECTED = {
    "string_type": "a text in quotes",
    "list_type": "a list in square brackets",
    "dict_type": "an object in braces",
    "model_type": "an object in braces",
    "float_type": "a number",
    "greater_than_equal": "a number from 0 to 1",
    "less_than_equal": "a number from 0 to 1",
}
# Of each part of the file: what it cannot be where its text is of no use, and what it should be.
_PARTS = {
    "customMetrics": ("", 'for example ["nv_inference_request_success"]'),
    "$schema": ("", "where the schema is"),
    "metric": (
        "cannot be the name of a metric",
        'letters, digits, "_" and ":", with * and ? for what is left open; an expression goes into {"query": …}',
    ),
    "query": ("holds no query", "write PromQL, or name a metric"),
    "match": ("", 'for example "model=\\"bert\\"", at most 1000 characters'),
    "name": ("cannot be a name in Application Insights", 'letters, digits, "_", "." and "-", at most 150'),
    "mode": ("is no mode", f"one of {', '.join(mode.value for mode in Mode)}"),
    "aggregate": ("is no aggregate", f"one of {', '.join(aggregate.value for aggregate in Aggregate)}"),
    "by": ("", 'for example ["model"]'),
    "without": ("", 'for example ["gpu_uuid"]'),
    "quantiles": ("", "for example [0.5, 0.95]"),
    "labels": ("", 'for example {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "search"}}'),
    "rename": ("", 'for example {"gpu_uuid": "gpu"}'),
    "add": ("", 'for example {"team": "search"}'),
    "label": ("cannot be the name of a label", 'letters, digits and "_", as Prometheus has it'),
    "dimension": ("cannot be the name of a dimension", "1 to 150 characters, none of them a control character"),
    "dimension value": ("", "1 to 8192 characters"),
}


def place(file: str, *parts: str | int) -> str:
    """Where something stands: ``metrics.json: customMetrics[3].mode``."""
    return f"{file}: {path(*parts).lstrip('.')}" if parts else file


def path(*parts: str | int) -> str:
    """Keys and numbers from one part of the file down to another; one line, whatever a key holds."""
    return "".join(
        f".{part}" if isinstance(part, str) and re.fullmatch(r"[\w$]+", part) else f"[{part!r}]" for part in parts
    )


def say(kind: str, loc: Sequence[str | int], value: Any, known: Sequence[str], *, entry: bool) -> tuple[str, str]:
    """Problem and remedy for one of pydantic's errors, at ``loc`` of an entry, or of the file.

    ``known`` are the names of the fields that may stand there.
    """
    cannot, remedy = _PARTS.get(_part(loc), ("", ""))
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        return "unknown field", f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    if kind == "model_type" and not loc:
        if entry:
            return f"must be a metric name in quotes, or an object, and is {shown(value)}", '{"metric": "a_name"}'
        return "the file must hold one object", _SMALLEST
    if kind in {"string_pattern_mismatch", "enum"}:
        return f"{shown(value)} {cannot}", remedy
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}, and is {shown(value)}", remedy
    return {
        "missing": ("is missing", f"{_SMALLEST} is the smallest file"),
        "null": ("is null", "write a value, or leave the field out"),
        "reserved": (f"{shown(value)} is Application Insights' own", "a name that does not begin with _MS."),
        "repeated": ("names one twice", "keep one of them"),
        "too_short": ("is empty", "name at least one, or leave it out")
        if entry
        else ("is empty, so nothing would be sent", "name a metric"),
        "string_too_short": ("is empty", remedy),
        "string_too_long": ("is too long", remedy),
        "string_unicode": ("holds half a character (a lone surrogate)", "write the character itself"),
    }[kind]


def _part(loc: Sequence[str | int]) -> str:
    """Which part of the file that is. Behind the key of a ``labels`` object pydantic puts a word of its own."""
    field, *below = loc or [""]
    if field in {"by", "without"} and below:
        return "label"
    if field != "labels" or not below:
        return str(field)
    kind, key, value = below[0], len(below) == 3, len(below) == 2
    if kind == "rename" and (key or value):
        return "label" if key else "dimension"
    return "dimension" if key else "dimension value" if value else str(kind)


def shown(value: Any) -> str:
    """A value in a few signs of one line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
