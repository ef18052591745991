"""Documents and program say the same: commands, settings, defaults, modes, metric names, examples, links."""

import json
import re
from pathlib import Path

import pytest

from bridge.cli import app
from bridge.instruments import Instruments
from bridge.points import Outcome
from bridge.selection import Mode, parse
from bridge.settings import describe
from bridge.triton import recorded

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its kind."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of the tables in a text."""
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return [cell for cell in rows if cell.startswith("`")]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_readme_tells_of_every_command_and_of_no_other() -> None:
    told = {code(cell)[0].split()[1] for cell in first_cells(section(README, "Commands"))}

    assert told == COMMANDS


def test_the_readme_tells_of_every_setting_and_of_no_other() -> None:
    told = [name for cell in first_cells(section(README, "Settings")) for name in code(cell)]

    assert told == [name for setting in describe() for name in setting.names]


@pytest.mark.parametrize("setting", [setting for setting in describe() if setting.default], ids=lambda s: s.field)
def test_the_readme_tells_the_default_of(setting) -> None:
    lines = section(README, "Settings").splitlines()
    (row,) = [line for line in lines if line.startswith("|") and f"`{setting.names[0]}`" in line.split("|")[1]]

    default = row.split("|")[2].replace("`", "")
    assert all(part in default for part in setting.default.split(", else "))


def test_the_readme_tells_of_every_mode() -> None:
    told = [code(cell)[0] for cell in first_cells(section(README, "What to send: `metrics.json`"))]

    assert [name for name in told if name in set(Mode)] == [mode.value for mode in Mode]


@pytest.mark.parametrize("text", re.findall(r"```json\n(.*?)```", README, re.DOTALL))
def test_every_metrics_json_of_the_readme_is_one(text: str) -> None:
    assert parse(text).entries


def test_the_first_example_of_the_readme_is_what_is_shipped() -> None:
    (first, *_) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)

    shipped = json.loads((ROOT / "config" / "metrics.json").read_text(encoding="utf-8"))

    assert json.loads(first) == {"customMetrics": shipped["customMetrics"]}


def test_operations_name_every_outcome_and_no_own_metric_that_is_not() -> None:
    registry = Instruments().registry
    names = {name for family in registry.collect() for name in (family.name, f"{family.name}_total")}
    told = set(re.findall(r"triton_bridge_\w+", OPERATIONS))

    assert told <= names
    assert [code(cell)[0] for cell in first_cells(section(OPERATIONS, "What became of the points?"))] == [
        outcome.value for outcome in Outcome if outcome is not Outcome.WAITING
    ]


def test_every_message_that_operations_explain_is_in_the_program() -> None:
    source = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "bridge").rglob("*.py"))
    told = [code(cell)[0] for cell in first_cells(section(OPERATIONS, "What does this message mean?"))]

    assert len(told) > 5
    assert [text for text in told if not all(part in source for part in text.split(" … "))] == []


def test_rules_are_documented_as_they_are() -> None:
    assert "`NAME_count_irate`" in README
    assert "summary_latencies=true" in README
    assert {rule.name.endswith("_irate") for rule in recorded() if rule.file == "triton.yml"} == {True}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))

    assert [t for t in targets if "://" not in t and not (document.parent / t).exists()] == []


def test_make_targets_that_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"(?m)(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }

    assert {"demo", "test"} <= told
    assert [name for name in told if f"\n{name}:" not in makefile] == []
