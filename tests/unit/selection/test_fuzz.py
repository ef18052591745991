"""Whatever stands in a metrics.json: a Selection, or findings, each with a place that is in the file."""

import ast
import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError, Finding
from bridge.selection import parse
from tests.unit.selection.documents import WRONG, right_entry, texts

PART = re.compile(r"""\.?([\w$]+)|\[(\d+)\]|\[('[^']*'|"[^"]*"|'(?:[^'\\]|\\.)*')\]""")


def findings(text: str) -> tuple[Finding, ...]:
    """What is wrong with a text; nothing where it is a selection."""
    try:
        selection = parse(text)
    except ConfigurationError as error:
        assert error.findings
        return error.findings
    assert selection.entries
    return ()


def leads_somewhere(finding: Finding, text: str) -> bool:
    """Whether the place of a finding is one of the text: a line and a column, or a part of the document."""
    file, _, where = finding.place.partition(": ")
    assert file == "metrics.json"
    if line := re.fullmatch(r"line (\d+) column (\d+)", where):
        lines = text.split("\n")
        return int(line[1]) <= len(lines) and int(line[2]) <= len(lines[int(line[1]) - 1]) + 1
    if not where:
        return True
    part: Any = json.loads(text, parse_int=float)
    position = 0
    while position < len(where):
        found = PART.match(where, position)
        assert found, f"{where!r} cannot be read from {where[position:]!r} on"
        key: Any = found[1] or (int(found[2]) if found[2] else ast.literal_eval(found[3]))
        position = found.end()
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError):
            return position == len(where) and finding.problem == "is missing"
    return True


@given(texts() | st.text())
@settings(
    max_examples=10_000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
def test_any_text_is_a_selection_or_has_findings_with_places_in_it(text: str) -> None:
    found = findings(text)

    assert [str(one) for one in found if not leads_somewhere(one, text)] == []
    assert [one for one in found if not (one.problem and one.remedy and str(one).isprintable())] == []


@st.composite
def faulty(draw: Any) -> tuple[list[Any], set[int]]:
    """Entries, and the numbers of those that are wrong."""
    size = draw(st.integers(1, 8))
    entries = [draw(right_entry(number)) for number in range(size)]
    wrong = draw(st.sets(st.integers(0, size - 1)))
    return [draw(st.sampled_from(WRONG)) if number in wrong else entry for number, entry in enumerate(entries)], wrong


@given(faulty())
@settings(max_examples=500, derandomize=True)
def test_every_wrong_entry_is_named_and_no_right_one(drawn: tuple[list[Any], set[int]]) -> None:
    entries, wrong = drawn

    places = [finding.place for finding in findings(json.dumps({"customMetrics": entries}))]

    assert {int(found[1]) for place in places if (found := re.search(r"customMetrics\[(\d+)\]", place))} == wrong
    assert bool(places) == bool(wrong)


def test_no_depth_is_a_traceback() -> None:
    """Python's reader of JSON gives up somewhere here; what follows it must not go deeper than it did."""
    files = [
        form.replace("…", opening * depth + "1" + closing * depth)
        for depth in range(900, 1000)
        for opening, closing in (("[", "]"), ('{"a":', "}"))
        for form in ('{"customMetrics": …}', '{"customMetrics": ["a"], "b": …}', '{"customMetrics": [{"metric": …}]}')
    ]

    assert [file[:40] for file in files if not findings(file)] == []
