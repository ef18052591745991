"""What metrics.json may say, and what is said of it when it is wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.selection import Entry, Mode, load, parse

SOURCE_DOCUMENT = ["nv_inference_request_success", "nv_inference_request_duration_us", "nv_cpu_utilization"]
SHIPPED = Path(__file__).parents[2] / "config" / "metrics.json"


def findings(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return [str(finding) for finding in caught.value.findings]


def entries(*metrics: object) -> tuple[Entry, ...]:
    return parse(json.dumps({"customMetrics": list(metrics)})).entries


def test_the_shipped_file_names_the_three_metrics_of_the_source_document() -> None:
    assert [entry.metric for entry in load(SHIPPED).entries] == SOURCE_DOCUMENT
    assert {entry.mode for entry in load(SHIPPED).entries} == {Mode.VALUE}


def test_a_plain_name_is_an_object_with_only_a_metric() -> None:
    assert entries("a") == entries({"metric": "a"})


def test_an_object_says_metric_mode_and_name() -> None:
    (entry,) = entries({"metric": "a", "mode": "increase", "name": "a.gain"})

    assert entry == Entry("metrics.json: customMetrics[0]", "a.gain", Mode.INCREASE, metric="a")


def test_a_query_is_sent_under_its_name() -> None:
    (entry,) = entries({"query": "sum(a)", "name": "total"})

    assert (entry.query, entry.name, entry.mode, entry.metric) == ("sum(a)", "total", Mode.VALUE, None)


def test_a_colon_does_not_reach_application_insights() -> None:
    (entry,) = entries("vllm:prompt_tokens_total")

    assert entry.name == "vllm_prompt_tokens_total"


def test_equal_content_has_an_equal_digest_and_other_content_another() -> None:
    text = '{"customMetrics": ["a", "b"]}'

    assert parse(text).digest == parse('{ "customMetrics":["a",{"metric":"b"}] }').digest
    assert parse(text).digest != parse('{"customMetrics": ["b", "a"]}').digest


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["nv gpu"], "metrics.json: customMetrics[0]: 'nv gpu' cannot be the name of a metric"),
        (["a", {"metric": "2b"}], "metrics.json: customMetrics[1]: '2b' cannot be the name of a metric"),
        ([7], "metrics.json: customMetrics[0]: must be a metric name in quotes, or an object"),
        ([{"metric": 7}], "metrics.json: customMetrics[0].metric: input should be a valid string"),
        ([{}], "metrics.json: customMetrics[0]: needs either 'metric' or 'query'"),
        ([{"metric": "a", "query": "b", "name": "c"}], "customMetrics[0]: needs either 'metric' or 'query'"),
        ([{"query": "b"}], "customMetrics[0]: a 'query' needs a 'name'"),
        ([{"query": " ", "name": "b"}], "customMetrics[0].query: is empty"),
        ([{"query": "b", "name": "c", "mode": "rate"}], "customMetrics[0].mode: a 'query' has no mode 'rate'"),
        ([{"metric": "a", "mode": "delta"}], "customMetrics[0].mode: 'delta' is not a mode — one of value, increase"),
        ([{"metric": "a", "moed": "rate"}], "customMetrics[0].moed: unknown field — did you mean 'mode'?"),
        ([{"metric": "a", "name": "a b"}], "customMetrics[0].name: 'a b' cannot be a name in Application Insights"),
        ([{"metric": "a", "name": ""}], "customMetrics[0].name: '' cannot be a name in Application Insights"),
        ([{"metric": "a", "name": "x" * 151}], "cannot be a name in Application Insights"),
        (["a" * 151], "customMetrics[0]: the name is longer than 150 characters"),
        (["a", "b", "a"], "customMetrics[2]: 'a' is already published by customMetrics[0]"),
        (["x:y", "x_y"], "customMetrics[1]: 'x_y' is already published by customMetrics[0]"),
        ([], "metrics.json: customMetrics: is empty, so nothing would be sent"),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(metrics: list[object], expected: str) -> None:
    (finding,) = findings(json.dumps({"customMetrics": metrics}))

    assert expected in finding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"customMetrics": ["a",]}', "metrics.json: line 1 column 2"),
        ('{"customMetrics": ["a"], "customMetrics": ["b"]}', "the key 'customMetrics' stands twice"),
        ("[]", "metrics.json: the file must hold one object"),
        ("null", "metrics.json: the file must hold one object"),
        ('{"customMetrics": "a"}', "metrics.json: customMetrics: must be a list"),
        ("", "metrics.json: line 1 column 1: not JSON"),
        ("{}", "metrics.json: customMetrics: is missing"),
        ("[" * 100_000, "metrics.json: is nested too deeply"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(text: str, expected: str) -> None:
    (finding,) = findings(text)

    assert expected in finding


def test_a_misspelt_top_level_key_names_the_right_one() -> None:
    assert any("did you mean 'customMetrics'" in line for line in findings('{"customMetric": ["a"]}'))


def test_all_errors_are_reported_at_once() -> None:
    found = findings(json.dumps({"customMetrics": ["a b", "c", {"query": "x"}, "c", {"metric": "d", "name": "é"}]}))

    assert [line.split(":")[1].strip() for line in found] == [
        "customMetrics[0]",
        "customMetrics[2]",
        "customMetrics[4].name",
        "customMetrics[3]",
    ]


def test_an_entry_of_a_wrong_shape_hides_no_other() -> None:
    found = findings(json.dumps({"customMetrics": ["a b", {"moed": 1}, 5, "c", "c"], "more": 1}))

    assert [line.split(": ")[1] for line in found] == [
        "more",
        "customMetrics[0]",
        "customMetrics[1].moed",
        "customMetrics[2]",
        "customMetrics[4]",
    ]


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text('{"customMetrics": ["a"]}', encoding="utf-8-sig")

    assert [entry.metric for entry in load(file).entries] == ["a"]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file — mount one there, or set BRIDGE_METRICS_FILE"):
        load(tmp_path / "metrics.json")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(file)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text() | json_values.map(json.dumps) | st.lists(json_values).map(lambda x: json.dumps({"customMetrics": x})))
def test_any_text_gives_a_selection_or_findings_with_a_place(text: str) -> None:
    try:
        selection = parse(text)
    except ConfigurationError as error:
        assert error.findings
        assert all(finding.place.startswith("metrics.json") and finding.problem for finding in error.findings)
    else:
        assert selection.entries
