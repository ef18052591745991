"""What is said against an item: each message of the service, each limit at its edge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.refusals import Refused
from bridge.sandbox.rules import TAGS, identify, judge
from tests.unit.sandbox.telemetry import ABSENT, NOW, changed, event, metric

POINT = "data/baseData/metrics/0"


def verdict(item):
    """None if the item is accepted, else what is said against it."""
    try:
        identify(item)
        judge(item, NOW)
    except Refused as refused:
        return refused.message
    return None


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("time", ABSENT, "109: Field 'time' on type 'Envelope' is required but missing or empty. Expected: string"),
        ("time", None, "109: Field 'time' on type 'Envelope' is required but missing or empty. Expected: string"),
        ("time", "", "109: Field 'time' on type 'Envelope' is required but missing or empty. Expected: string"),
        ("time", 1795250000, "106: Field 'time' on type 'Envelope' is of incorrect type. Expected: string"),
        ("name", ABSENT, "109: Field 'name' on type 'Envelope' is required but missing or empty. Expected: string"),
        ("name", "", "109: Field 'name' on type 'Envelope' is required but missing or empty. Expected: string"),
        ("name", 5, "106: Field 'name' on type 'Envelope' is of incorrect type. Expected: string"),
        ("iKey", ABSENT, "Invalid instrumentation key"),
        ("iKey", "", "Invalid instrumentation key"),
        ("iKey", 5, "106: Field 'iKey' on type 'Envelope' is of incorrect type. Expected: string"),
        ("seq", 5, "106: Field 'seq' on type 'Envelope' is of incorrect type. Expected: string"),
        ("ver", "1", "106: Field 'ver' on type 'Envelope' is of incorrect type. Expected: integer"),
        ("sampleRate", "100", "106: Field 'sampleRate' on type 'Envelope' is of incorrect type. Expected: number"),
        ("tags", [], "106: Field 'tags' on type 'Envelope' is of incorrect type. Expected: object"),
        (
            "tags/ai.cloud.role",
            5,
            "200: Child value '5' for key 'ai.cloud.role' is of incorrect type. Expected: string, Actual: number",
        ),
        ("data", ABSENT, "Unknown domain type 'undefined'"),
        ("data", None, "Unknown domain type 'undefined'"),
        ("data", "MetricData", "Unknown domain type 'undefined'"),
        ("data/baseType", ABSENT, "Unknown domain type 'undefined'"),
        ("data/baseType", "metricdata", "Unknown domain type 'metricdata'"),
        ("data/baseType", 5, "Unknown domain type '5'"),
        (
            "data/baseData",
            ABSENT,
            "109: Field 'baseData' on type 'Data' is required but missing or empty. Expected: object",
        ),
        (
            "data/baseData",
            [],
            "109: Field 'baseData' on type 'Data' is required but missing or empty. Expected: object",
        ),
        (
            "data/baseData/ver",
            ABSENT,
            "109: Field 'ver' on type 'MetricData' is required but missing or empty. Expected: integer",
        ),
        ("data/baseData/ver", 2.0, "106: Field 'ver' on type 'MetricData' is of incorrect type. Expected: integer"),
        (
            "data/baseData/metrics",
            ABSENT,
            "109: Field 'metrics' on type 'MetricData' is required but missing or empty. Expected: array",
        ),
        (
            "data/baseData/metrics",
            [],
            "109: Field 'metrics' on type 'MetricData' is required but missing or empty. Expected: array",
        ),
        (
            "data/baseData/metrics",
            {},
            "106: Field 'metrics' on type 'MetricData' is of incorrect type. Expected: array of DataPoint",
        ),
        (
            "data/baseData/metrics",
            [5],
            "106: Field 'metrics' on type 'MetricData' is of incorrect type. Expected: array of DataPoint",
        ),
        (
            "data/baseData/properties",
            [],
            "106: Field 'properties' on type 'MetricData' is of incorrect type. Expected: object",
        ),
        (
            "data/baseData/properties/model",
            5,
            "200: Child value '5' for key 'model' is of incorrect type. Expected: string, Actual: number",
        ),
        (
            "data/baseData/properties/model",
            True,
            "200: Child value 'true' for key 'model' is of incorrect type. Expected: string, Actual: boolean",
        ),
        (
            "data/baseData/properties/model",
            None,
            "200: Child value 'null' for key 'model' is of incorrect type. Expected: string, Actual: null",
        ),
        (
            "data/baseData/properties/model",
            ["a"],
            "200: Child value '[\"a\"]' for key 'model' is of incorrect type. Expected: string, Actual: object",
        ),
        (
            f"{POINT}/name",
            ABSENT,
            "109: Field 'name' on type 'DataPoint' is required but missing or empty. Expected: string",
        ),
        (
            f"{POINT}/name",
            "",
            "109: Field 'name' on type 'DataPoint' is required but missing or empty. Expected: string",
        ),
        (f"{POINT}/name", 3440692220, "106: Field 'name' on type 'DataPoint' is of incorrect type. Expected: string"),
        (f"{POINT}/ns", 5, "106: Field 'ns' on type 'DataPoint' is of incorrect type. Expected: string"),
        (f"{POINT}/kind", 2, "106: Field 'kind' on type 'DataPoint' is of incorrect type. Expected: DataPointType"),
        (f"{POINT}/kind", True, "106: Field 'kind' on type 'DataPoint' is of incorrect type. Expected: DataPointType"),
        (
            f"{POINT}/kind",
            "aggregation",
            "106: Field 'kind' on type 'DataPoint' is of incorrect type. Expected: DataPointType",
        ),
    ],
)
def test_a_missing_or_ill_typed_field_is_refused_in_the_services_words(place, value, message):
    assert verdict(changed(place, value)) == message


@pytest.mark.parametrize("item", [None, 5, "text", True, [], [metric()], {}])
def test_json_that_is_no_telemetry_has_an_undefined_domain_type(item):
    assert verdict(item) == "Unknown domain type 'undefined'"


@pytest.mark.parametrize(
    "value", [ABSENT, None, "1.5", "NaN", True, [1], {}, float("inf"), float("-inf"), float("nan"), 10**400]
)
def test_a_value_must_be_a_finite_number(value):
    message = "106: Field 'value' on type 'DataPoint' is of incorrect type. Expected: number"
    assert verdict(changed(f"{POINT}/value", value)) == message


@pytest.mark.parametrize("field", ["min", "max", "stdDev"])
@pytest.mark.parametrize("value", ["1", False, [1], float("inf"), -(10**400)])
def test_what_else_is_a_number_must_be_a_finite_one_too(field, value):
    message = f"106: Field '{field}' on type 'DataPoint' is of incorrect type. Expected: number"
    assert verdict(metric(**{field: value})) == message


@pytest.mark.parametrize("count", [2**31, -(2**31) - 1, 1.0, 1.5, "1", True, [1]])
def test_a_count_must_be_an_int32(count):
    assert (
        verdict(metric(count=count)) == "106: Field 'count' on type 'DataPoint' is of incorrect type. Expected: integer"
    )


@pytest.mark.parametrize("count", [0, 1, 2**31 - 1, -(2**31), None])
def test_any_int32_is_a_count(count):
    assert verdict(metric(count=count)) is None


LENGTHS = [
    ("iKey", "iKey", "Envelope", 40),
    ("name", "name", "Envelope", 1024),
    ("seq", "seq", "Envelope", 64),
    (f"{POINT}/name", "name", "DataPoint", 1024),
    (f"{POINT}/ns", "ns", "DataPoint", 256),
    ("data/baseData/properties/model", "model", "MetricData.properties", 8192),
    *((f"tags/{tag}", tag, "ContextTagKeys", most) for tag, most in TAGS.items()),
]


@pytest.mark.parametrize(("place", "field", "owner", "most"), LENGTHS)
def test_a_text_of_the_most_characters_passes_and_one_more_does_not(place, field, owner, most):
    assert verdict(changed(place, "x" * most)) is None
    assert (
        verdict(changed(place, "x" * (most + 1)))
        == f"100: Field '{field}' on type '{owner}' is too long. Expected: {most} characters"
    )


@pytest.mark.parametrize(
    ("base_type", "field", "most"), [("EventData", "name", 512), ("MessageData", "message", 32_768)]
)
def test_the_text_that_another_type_requires_is_checked_as_well(base_type, field, most):
    def said(text):
        return verdict(changed("data", {"baseType": base_type, "baseData": {"ver": 2, field: text}}))

    assert said("x" * most) is None
    assert (
        said("x" * (most + 1)) == f"100: Field '{field}' on type '{base_type}' is too long. Expected: {most} characters"
    )
    assert said("") == f"109: Field '{field}' on type '{base_type}' is required but missing or empty. Expected: string"


def test_a_measurement_of_an_event_that_is_text_is_refused():
    message = "200: Child value 'NaN' for key 'm1' is of incorrect type. Expected: number, Actual: string"
    assert verdict(event(measurements={"m1": "NaN"})) == message


def test_a_property_name_has_at_most_150_characters():
    assert verdict(changed("data/baseData/properties", {"k" * 150: ""})) is None
    message = "100: Field 'properties' on type 'MetricData' is too long. Expected: 150 characters"
    assert verdict(changed("data/baseData/properties", {"k" * 151: ""})) == message


def test_lengths_are_utf16_code_units():
    assert verdict(metric("ü" * 1024)) is None
    assert verdict(metric("\U0001f600" * 512)) is None
    assert (
        verdict(metric("\U0001f600" * 512 + "x"))
        == "100: Field 'name' on type 'DataPoint' is too long. Expected: 1024 characters"
    )


def test_tags_that_the_schema_does_not_know_have_no_length():
    assert verdict(changed("tags/ai.internal.nodeName", "x" * 5000)) is None


def test_the_instrumentation_key_is_compared_without_regard_to_case():
    assert identify(changed("iKey", "ABCdef")) == "abcdef"


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
    st.data(),
)
def test_any_json_anywhere_in_an_item_is_judged_and_never_breaks_the_judge(value, data):
    """A verdict is a row, no row, or a message; no other end."""
    places = [
        "time",
        "name",
        "iKey",
        "seq",
        "ver",
        "sampleRate",
        "tags",
        "tags/ai.cloud.role",
        "data",
        "data/baseType",
        "data/baseData",
    ]
    places += [f"data/baseData/{each}" for each in ("ver", "metrics", "properties", "properties/model")]
    places += [f"{POINT}/{each}" for each in ("name", "value", "count", "min", "max", "stdDev", "kind", "ns")]
    message = verdict(changed(data.draw(st.sampled_from(places)), value))
    assert message is None or message.startswith(
        ("100:", "102:", "103:", "104:", "106:", "109:", "200:", "Unknown", "Invalid")
    )
