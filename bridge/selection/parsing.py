"""Takes the text of a metrics.json, gives a Selection, or every finding at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bridge.errors import ConfigurationError, Finding
from bridge.selection import document, rules, words
from bridge.selection.entry import Entry, Selection

_DIGITS = 20  # of a whole number that is read as one; more are read as a float, which takes any number of them


def parse(text: str, *, place: str = "metrics.json") -> Selection:
    """Validate the text of a metrics.json. Raises ConfigurationError with every finding."""
    findings: list[Finding] = []
    common, items = document.read_file(_document(text, place, findings), place, findings)
    findings += rules.check_labels(common, f"{place}: labels")
    entries: list[Entry] = []
    for number, item in enumerate(items):
        where = words.place(place, "customMetrics", number)
        read = document.read_entry(item, place, number, findings)
        wrong = list(rules.check(read, where)) if read else []
        findings += wrong
        if read and not wrong:
            entries.append(rules.entry(read, where, common))
    findings += rules.duplicates(entries)
    if findings:
        raise ConfigurationError(findings)
    return Selection(tuple(entries), _digest(entries), text)


def _digest(entries: list[Entry]) -> str:
    """Of what is asked for and sent, not of how or where it is written."""
    content = repr([replace(entry, place="") for entry in entries])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


class _Repeating(dict[str, Any]):
    """An object in which keys stand twice; the last ones count."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = [name for name in self if names.count(name) > 1]


def _document(text: str, place: str, findings: list[Finding]) -> Any:
    """The file as JSON; keys that stand twice go into ``findings``. Raises ConfigurationError where it is no JSON.

    NaN and Infinity, which Python reads and JSON has not, are let pass: no number of the file may be one.
    """
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
        findings += _repeated(found, place)
    except json.JSONDecodeError as error:
        where = f"{place}: line {error.lineno} column {error.colno}"
        there = text[error.pos :].partition("\n")[0]
        problem = f"not JSON: {error.msg}, and there {f'stands {words.shown(there)}' if there else 'the line ends'}"
        finding = Finding(where, problem, "JSON has no comments and no comma before a closing bracket")
    except RecursionError:
        finding = Finding(place, "is nested too deeply", "it needs four levels")
    else:
        return found
    raise ConfigurationError([finding])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeating(pairs)


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float(text)


def _repeated(found: Any, place: str, *above: str | int) -> Iterator[Finding]:
    """The keys that stand twice in an object, at any depth."""
    if isinstance(found, _Repeating):
        for name in found.repeated:
            yield Finding(words.place(place, *above), f"the key {name!r} stands twice in one object", "keep one")
    if isinstance(found, dict | list):
        for part, inner in found.items() if isinstance(found, dict) else enumerate(found):
            yield from _repeated(inner, place, *above, part)
