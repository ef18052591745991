"""Takes a running bridge, gives what a person sees of it: page, ``status``, ``/status.json``, own metrics, probes, log.

Each is read as what it is (HTML, a terminal's lines, JSON, an exposition, log lines) and by no code of the bridge.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import requests
from prometheus_client.parser import text_string_to_metric_families

from bridge.cli import watching

Row = tuple[str, ...]
_MARKS = "✓»!✗"


class _Tree(HTMLParser):
    """Makes elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._builder = TreeBuilder()
        self.feed(text.replace("\N{NARROW NO-BREAK SPACE}", " "))
        self.close()
        self.root = self._builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in {"meta", "link"}:
            self._builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        self._builder.data(data)


def _text(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


class Page:
    """The status page: its state, its facts by name, its tables by the place of their section."""

    def __init__(self, text: str) -> None:
        root = _Tree(text).root
        for drawing in root.iterfind(".//svg/.."):
            for one in drawing.findall("svg"):
                drawing.remove(one)
        sections = {one.get("aria-labelledby", "state"): one for one in root.iter("section")}
        self.title = _text(root.find("head/title"))
        self.state = _text(sections["state"].find(".//h1"))
        self.since = _text(sections["state"].find(".//p[@class='since']"))
        told = dict(_text(one).split(": ", 1) for one in sections["state"].iterfind(".//p[strong]"))
        self.known, self.remedy = told.get("What is known", ""), told.get("What to do", "")
        self.absent = told.get("Without a series now", "")
        self.troubles = [_text(one) for one in sections["troubles"].iter("li")] if "troubles" in sections else []
        self.facts = {
            _text(one.find("dt")): ", ".join(map(_text, one.iter("dd"))) for one in root.iterfind(".//dl/div")
        }
        self.legend = [_text(one) for one in sections["timeline"].iter("li")]
        self.query = _text(root.find(".//pre"))
        self.notes = [_text(one) for one in root.iterfind(".//p[@class='note']")]
        self.tables = {
            name: [[tuple(map(_text, row)) for row in table.iterfind("tbody/tr")] for table in section.iter("table")]
            for name, section in sections.items()
        }

    def table(self, name: str) -> list[Row]:
        """The rows of a section's only table; none where there is none."""
        return next(iter(self.tables.get(name, ())), [])

    def account(self) -> dict[str, dict[str, Row]]:
        """The two sums: what → its counts, in the order of the columns."""
        return {
            kind: {name.lstrip("=+ "): tuple(counts) for name, *counts in rows}
            for kind, rows in zip(("points", "cycles"), self.tables["account"], strict=True)
        }


class Terminal:
    """What ``triton-bridge status`` writes: lines, cut by its headings, which stand at the left edge."""

    def __init__(self, text: str) -> None:
        self.parts: dict[str, list[str]] = {}
        first, *rest = re.sub(r"(?<=\d),(?=\d{3})", " ", text).splitlines()
        assert first[0] in _MARKS
        self.state, _, self.since = first[2:].partition(" since ")
        self.troubles: list[str] = []
        lines = self.parts["state"] = []
        within = False  # a trouble, which may have several lines
        for line in rest:
            if line[:1] in _MARKS and line:
                within = True
                self.troubles.append(line[2:])
            elif within and line:
                self.troubles[-1] += f" {line.strip()}"
            elif not line:
                within = False
            elif not line.startswith(" "):
                name, _, title = line.partition(", ")
                lines = self.parts[re.split(r" \(|:", name)[0]] = [title]
            else:
                lines.append(line)
        self.facts: dict[str, str] = {}
        name = ""
        for line in self.parts["state"]:
            name = line[2:17].strip() or name
            self.facts[name] = f"{self.facts[name]} {line[18:]}" if name in self.facts else line[18:]

    def account(self) -> dict[str, dict[str, Row]]:
        """The two sums: what → its counts, of the last hour and of all."""
        found: dict[str, dict[str, Row]] = {"points": {}, "cycles": {}}
        for line in self.parts["Account"]:
            rows = re.findall(r"(?:[=+]|points|cycles) ([a-z ]+?) {2,}([\d ]*\d) {2,}([\d ]*\d)", line)
            for kind, (name, *counts) in zip(("points", "cycles"), rows, strict=False):
                found[kind][name] = tuple(counts)
        return found

    def table(self, part: str) -> list[Row]:
        """The rows of a part, without their heading."""
        rows = self.parts.get(part, ["", ""])[2:]
        return [tuple(re.split(r" {2,}", line.strip())) for line in rows if not line.startswith("    ")]


class Log(logging.Handler):
    """The lines of the bridge's log, and what they say."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    @property
    def state(self) -> str:
        """The words of the state that the newest change led to."""
        changes = [line.partition(" → ")[2] for line in self.lines if line.startswith("state: ")]
        return re.split(": | — ", (changes or ["starting"])[-1])[0]

    def cycles(self) -> dict[str, tuple[str, dict[str, int]]]:
        """Grid time → what became of it at once, and the points by outcome."""
        found = {}
        for line in self.lines:
            if match := re.match(r"cycle (\S+): (\w+), \d+ metrics?, (\d+) points? \(([^)]*)\)", line):
                moment, settlement, read, points = match.groups()
                counts = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", points)}
                assert sum(counts.values()) == int(read), line
                found[moment] = settlement, counts
        return found

    def rejections(self) -> list[tuple[str, str]]:
        """Metric, and status with reason, in order."""
        return [match.groups() for line in self.lines if (match := re.match(r"(\S+) rejected: (.*)", line))]  # type: ignore[misc]


@dataclass(frozen=True)
class Views:
    """All of them, of one moment at which nothing happens."""

    document: Mapping[str, Any]
    page: Page
    terminal: Terminal
    code: int
    own: Mapping[str, float]
    probes: Mapping[str, tuple[bool, list[str]]]
    log: Log

    @classmethod
    def of(cls, url: str, log: Log) -> Views:
        """Look everywhere."""
        with requests.Session() as session:
            answer = session.get(f"{url}status.json").content
            page = session.get(url).text
            exposed = session.get(f"{url}metrics").text
            probes = {name: session.get(url + name) for name in ("livez", "readyz")}
            document = session.get(f"{url}status.json").json()
        with redirect_stdout(io.StringIO()) as out:
            watching.show(answer)
        own = {
            " ".join((sample.name.removeprefix("triton_bridge_"), *sample.labels.values())): sample.value
            for family in text_string_to_metric_families(exposed)
            for sample in family.samples
            if sample.name.startswith("triton_bridge_")
        }
        return cls(
            document,
            Page(page),
            Terminal(out.getvalue()),
            watching.code(answer),
            own,
            {name: (reply.ok, reply.text.splitlines()) for name, reply in probes.items()},
            log,
        )
