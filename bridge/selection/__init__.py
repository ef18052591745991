"""Takes the text of metrics.json, gives a Selection: what to ask for and under which names to send it.

The format is fixed: ``{"customMetrics": ["a_metric", {"metric": "b", "mode": "increase"}, …]}``. All errors are
reported at once, each with its place. Names in Application Insights are kept to ``[A-Za-z0-9_.-]`` and 150
characters: the documented length of a metric name, and what KEDA's scaler can put into a URL unescaped.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigurationError, Finding

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")  # Prometheus' data model
PUBLISHED_NAME = re.compile(r"[A-Za-z0-9_.-]{1,150}")


class Mode(str, Enum):
    """How a metric is sent; see the table in the README."""

    VALUE = "value"
    INCREASE = "increase"
    RATE = "rate"
    IRATE = "irate"

    @property
    def raw(self) -> bool:
        """Whether it is computed from raw samples rather than read at T."""
        return self is not Mode.VALUE


@dataclass(frozen=True)
class Entry:
    """One line of the selection. Exactly one of ``metric`` and ``query`` is set; ``name`` is the published one."""

    place: str
    name: str
    mode: Mode
    metric: str | None = None
    query: str | None = None


@dataclass(frozen=True)
class Selection:
    """What ``metrics.json`` asks for, validated. ``digest`` names it: equal content, equal digest.

    ``text`` is what it was read from.
    """

    entries: tuple[Entry, ...]
    digest: str
    text: str = field(compare=False, repr=False)


class _EntryText(BaseModel):
    """An entry as the user may write it; a plain name stands for ``{"metric": name}``."""

    model_config = ConfigDict(extra="forbid")

    metric: str | None = None
    query: str | None = None
    name: str | None = None
    mode: Mode | None = None


class _FileText(BaseModel):
    """The whole file as the user may write it."""

    model_config = ConfigDict(extra="forbid")

    schema_: str | None = Field(default=None, alias="$schema")
    custom_metrics: list[Any] = Field(alias="customMetrics")


def load(path: Path) -> Selection:
    """Read a file. Raises ConfigurationError with every finding; its places begin with the file's name."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            [Finding(str(path), "no such file", "mount one there, or set BRIDGE_METRICS_FILE")],
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([Finding(str(path), f"cannot be read: {error}", "it must be a UTF-8 file")]) from error
    return parse(text, place=path.name)


class SelectionFile:
    """A file that is read again: a good change replaces ``current``, a bad one does not.

    Raises ConfigurationError where the first reading is bad.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = _bytes(path)
        self.current = load(path)

    def look(self) -> Selection | None:
        """The new selection if the file's content changed, None if not. Raises ConfigurationError, once a content."""
        text = _bytes(self.path)
        if text == self._text:
            return None
        self._text = text
        self.current = load(self.path)
        return self.current


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # ``load`` says why


def parse(text: str, *, place: str = "metrics.json") -> Selection:
    """Validate the text of a metrics.json. Raises ConfigurationError with every finding."""
    document = _document(text, place)
    findings: list[Finding] = []
    entries: list[Entry] = []
    try:
        _FileText.model_validate(document)
    except ValidationError as error:
        findings += [_finding(dict(detail), place) for detail in error.errors()]
    listed = document.get("customMetrics") if isinstance(document, dict) else None
    for number, item in enumerate(listed if isinstance(listed, list) else []):
        where = f"{place}: customMetrics[{number}]"
        try:
            entry = _EntryText.model_validate({"metric": item} if isinstance(item, str) else item)
        except ValidationError as error:
            findings += [_finding(dict(detail), place, "customMetrics", number) for detail in error.errors()]
            continue
        wrong = list(_check(entry, where))
        findings += wrong
        if not wrong:
            name = entry.name or (entry.metric or "").replace(":", "_")
            entries.append(Entry(where, name, entry.mode or Mode.VALUE, metric=entry.metric, query=entry.query))
    findings += _duplicates(entries)
    if listed == []:
        findings.append(Finding(f"{place}: customMetrics", "is empty, so nothing would be sent", "name a metric"))
    if findings:
        raise ConfigurationError(findings)
    canonical = json.dumps([[e.name, e.mode.value, e.metric, e.query] for e in entries])
    return Selection(tuple(entries), hashlib.sha256(canonical.encode()).hexdigest()[:12], text)


def _document(text: str, place: str) -> Any:
    """The file as JSON; raises ConfigurationError where it is none."""
    try:
        return json.loads(text, object_pairs_hook=_no_repeated_key)
    except json.JSONDecodeError as error:
        where = f"{place}: line {error.lineno} column {error.colno}"
        raise ConfigurationError(
            [Finding(where, f"not JSON: {error.msg}", "JSON has no comments and no comma before a closing bracket")],
        ) from error
    except RecursionError:
        raise ConfigurationError([Finding(place, "is nested too deeply", "it needs three levels")]) from None
    except _RepeatedKeyError as error:
        raise ConfigurationError([Finding(place, f"the key {error} stands twice in one object", "keep one")]) from error


class _RepeatedKeyError(ValueError):
    pass


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(repr(name) for name in names if names.count(name) > 1))
    return document


def _finding(detail: dict[str, Any], place: str, *above: str | int) -> Finding:  # noqa: PLR0911 — one for each type
    """One pydantic error, in our words; ``above`` leads to the object that it is about."""
    loc = (*above, *detail["loc"])
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    where = f"{place}: {path.lstrip('.')}" if path else place
    last = loc[-1] if loc else ""
    if detail["type"] == "extra_forbidden":
        model = _EntryText if above else _FileText
        known = [field.alias or name for name, field in model.model_fields.items()]
        near = difflib.get_close_matches(str(last), known, n=1)
        return Finding(where, "unknown field", f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")
    if detail["type"] == "missing":
        return Finding(where, "is missing", '{"customMetrics": ["nv_inference_request_success"]} is the smallest file')
    if detail["type"] == "enum":
        return Finding(where, f"{detail['input']!r} is not a mode", f"one of {', '.join(mode.value for mode in Mode)}")
    if detail["type"] in {"model_type", "model_attributes_type"} and above:
        return Finding(where, "must be a metric name in quotes, or an object", 'for example {"metric": "a_name"}')
    if detail["type"] in {"model_type", "model_attributes_type"}:
        return Finding(where, "the file must hold one object", '{"customMetrics": ["nv_inference_request_success"]}')
    if detail["type"] == "list_type":
        return Finding(where, f"must be a list, and is {detail['input']!r}", 'square brackets: ["a_metric"]')
    return Finding(where, str(detail["msg"][0].lower() + detail["msg"][1:]), f"found {detail['input']!r}")


def _check(entry: _EntryText, where: str) -> Iterator[Finding]:
    """The rules across the fields of one entry."""
    if (entry.metric is None) == (entry.query is None):
        yield Finding(where, "needs either 'metric' or 'query'", "a name for the one, PromQL for the other")
    elif entry.metric is not None:
        if not METRIC_NAME.fullmatch(entry.metric):
            yield Finding(
                where if entry.name is None and entry.mode is None else f"{where}.metric",
                f"{entry.metric!r} cannot be the name of a metric",
                'letters, digits, "_" and ":"; an expression goes into {"query": …, "name": …}',
            )
        elif entry.name is None and len(entry.metric) > 150:
            yield Finding(where, "the name is longer than 150 characters", "give a shorter 'name'")
    else:
        if not (entry.query or "").strip():
            yield Finding(f"{where}.query", "is empty", "write PromQL, or name a metric")
        if entry.name is None:
            yield Finding(where, "a 'query' needs a 'name'", "the name it has in Application Insights")
        if entry.mode not in {None, Mode.VALUE}:
            yield Finding(
                f"{where}.mode",
                f"a 'query' has no mode {entry.mode.value!r}" if entry.mode else "",
                "write the function into the query, or use 'metric'",
            )
    if entry.name is not None and not PUBLISHED_NAME.fullmatch(entry.name):
        yield Finding(
            f"{where}.name",
            f"{entry.name!r} cannot be a name in Application Insights",
            'letters, digits, "_", "." and "-", at most 150',
        )


def _duplicates(entries: list[Entry]) -> Iterator[Finding]:
    first: dict[str, Entry] = {}
    for entry in entries:
        earlier = first.setdefault(entry.name, entry)
        if earlier is not entry:
            yield Finding(
                entry.place,
                f"{entry.name!r} is already published by {earlier.place.partition(': ')[2]}",
                "give one of them another 'name'",
            )
