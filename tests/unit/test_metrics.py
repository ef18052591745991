"""docs/metrics.md says what bridge/triton.py says, and its examples can be used."""

from __future__ import annotations

import re

import pytest

from bridge.selection import Mode, parse
from bridge.triton import EXPOSED, Kind, recorded
from tools.metrics import DOCUMENT, filled

GUIDE = DOCUMENT.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_data() -> None:
    """Otherwise: ``python -m tools.metrics``."""
    assert filled(GUIDE) == GUIDE
    assert re.findall(r"<!-- (\w+) -->", GUIDE) == ["derived", "end", "exposed", "end"]


def test_a_table_that_has_gone_stale_is_noticed() -> None:
    assert filled(GUIDE.replace("| counter |", "| gauge |", 1)) == GUIDE


def test_every_name_in_the_text_is_one() -> None:
    told = set(re.findall(r"`(nv_\w+)`", GUIDE))
    exposed = {metric.name for metric in EXPOSED}

    assert told - exposed - {rule.name for rule in recorded()} == set()


@pytest.mark.parametrize("text", re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
def test_every_metrics_json_is_one_and_fits_the_kinds(text: str) -> None:
    """No counter goes as it stands, and what is recorded needs no form."""
    kinds = {metric.name: metric.kind for metric in EXPOSED} | {rule.name: Kind.GAUGE for rule in recorded()}
    fitting = {Kind.COUNTER: {Mode.INCREASE, Mode.RATE}, Kind.GAUGE: {Mode.VALUE, Mode.STATS}}

    entries = parse(text).entries
    assert entries
    assert [entry.metric for entry in entries if entry.mode not in fitting[kinds[entry.metric or ""]]] == []


def test_every_form_is_told() -> None:
    section = GUIDE.partition("\n## Which form\n")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [mode.value for mode in Mode]
