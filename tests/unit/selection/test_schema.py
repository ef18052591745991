"""The JSON Schema for editors says what the program says, and is checked in as it is made."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import regress
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from bridge.errors import ConfigurationError
from bridge.selection import parse
from bridge.selection.schema import schema
from examples.stack import ROOT
from tests.unit.selection.documents import WRONG, anything, mixed_entries, mutated_documents, right_documents

CONFIG = ROOT / "config"
FILE = CONFIG / "metrics.schema.json"
# What no schema can see, in the program's words.
UNSEEN = re.compile(
    "stands twice in one object|is already published by|of globs the first one counts|makes the dimension"
    "|names of the quantiles are longer|is no list of label matchers|regular expression"
)


@cache
def _compiled(pattern: str) -> regress.Regex:
    return regress.Regex(pattern, "u")


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """As JSON Schema and editors have it: ECMA 262 with Unicode. Python's $ matches before a line break too."""
    if isinstance(instance, str) and not _compiled(pattern).find(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})(schema())


def refusals(document: Any) -> list[str]:
    """Why the program refuses a document, without what no schema can see."""
    try:
        parse(json.dumps(document))
    except ConfigurationError as error:
        return [str(finding) for finding in error.findings if not UNSEEN.search(finding.problem)]
    return []


def is_json(document: Any) -> bool:
    """Whether a document can stand in a file: no NaN, no half of a character."""
    try:
        return bool(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        return False


def complaints(document: Any) -> list[str]:
    """Why the schema refuses a document that was read from JSON."""
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_checked_in_as_the_program_makes_it() -> None:
    command = [sys.executable, "-W", "error", "-m", "bridge.selection.schema"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)

    assert done.stdout == FILE.read_text(encoding="utf-8"), (
        "python -m bridge.selection.schema > config/metrics.schema.json"
    )


def test_the_schema_is_one_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(schema())

    assert schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("file", sorted({*CONFIG.rglob("*.json")} - {FILE}), ids=lambda file: file.name)
def test_what_is_shipped_is_right_by_the_schema(file: Any) -> None:
    assert complaints(json.loads(file.read_text(encoding="utf-8"))) == []


def test_the_shipped_file_leads_editors_to_the_schema() -> None:
    document = json.loads((CONFIG / "metrics.json").read_text(encoding="utf-8"))

    assert (CONFIG / document["$schema"]).resolve() == FILE.resolve()


def test_an_editor_can_tell_of_every_field_and_of_each_mode() -> None:
    definitions = schema()["$defs"]
    fields = [schema()["properties"], definitions["Entry"]["properties"], definitions["LabelsText"]["properties"]]
    told = definitions["Entry"]["properties"]["mode"]["description"]

    assert [name for some in fields for name, field in some.items() if len(field.get("description", "")) < 20] == []
    assert [mode for mode in definitions["Mode"]["enum"] if f"{mode}:" not in told and f"{mode} (" not in told] == []


@given(right_documents())
def test_what_is_right_is_taken_by_both(document: Any) -> None:
    assert (refusals(document), complaints(document)) == ([], [])
    assert parse(json.dumps(document)).entries


def test_what_is_wrong_is_refused_by_both() -> None:
    documents = [{"customMetrics": ["right", entry]} for entry in WRONG if is_json(entry)]

    assert [one for one in documents if bool(refusals(one)) != bool(complaints(one))] == []
    assert sum(bool(complaints(one)) for one in documents) > 100


@given(
    st.one_of(
        st.lists(mixed_entries, min_size=1, max_size=2).map(lambda entries: {"customMetrics": entries}),
        mutated_documents(),
        anything,
        st.lists(anything, max_size=3).map(lambda items: {"customMetrics": items}),
    ).filter(is_json)
)
@settings(max_examples=1000, derandomize=True)
def test_the_schema_refuses_what_the_program_refuses(document: Any) -> None:
    found, told = refusals(document), complaints(document)

    assert bool(found) == bool(told), (found, told)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"customMetrics": ["a", "a"]}', "'a' is already published by customMetrics[0]"),
        ('{"customMetrics": ["a*", "a*"]}', "of globs the first one counts"),
        ('{"customMetrics": [{"metric": "a", "metric": "b"}]}', "the key 'metric' stands twice"),
        (r'{"customMetrics": ["a"], "labels": {"add": {"a": "\ud800"}}}', "holds half a character"),
        ('{"customMetrics": [{"metric": "a", "match": "b"}]}', "is no list of label matchers"),
        ('{"customMetrics": ["a"], "labels": {"rename": {"b": "c"}, "add": {"c": "d"}}}', "makes the dimension 'c'"),
        (
            json.dumps({"customMetrics": [{"metric": "a" * 147, "mode": "histogram", "quantiles": [0.5]}]}),
            "the names of the quantiles are longer than 150",
        ),
    ],
)
def test_what_the_schema_cannot_see(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        parse(text)

    assert complaints(json.loads(text)) == []
