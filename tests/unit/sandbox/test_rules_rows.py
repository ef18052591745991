"""What an accepted item becomes: its customMetrics row."""

import sys

import pytest

from bridge.sandbox.rules import OTHER_TYPES, identify, judge
from tests.unit.sandbox.telemetry import ABSENT, KEY, NOW, TIME, changed, event, metric


def row(item):
    identify(item)
    return judge(item, NOW)


def test_a_measurement_becomes_a_row_whose_sum_min_and_max_are_its_value():
    assert row(metric("requests", 1.5)) == {
        "timestamp": TIME,
        "name": "requests",
        "value": 1.5,
        "valueCount": 1,
        "valueSum": 1.5,
        "valueMin": 1.5,
        "valueMax": 1.5,
        "valueStdDev": None,
        "customDimensions": {"model": "bert"},
        "cloud_RoleName": "triton",
        "cloud_RoleInstance": "pod-1",
        "sdkVersion": "py3:otel1",
        "iKey": KEY,
        "itemType": "customMetric",
        "_kind": "Measurement",
    }


VALUES = ("value", "valueCount", "valueSum", "valueMin", "valueMax", "valueStdDev", "_kind")


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ({"value": 10, "count": 4, "min": 1, "max": 5, "stdDev": 0.5}, (2.5, 4, 10, 1, 5, 0.5, "Measurement")),
        ({"value": 10, "count": 4, "min": 1, "max": 5, "kind": "Aggregation"}, (2.5, 4, 10, 1, 5, None, "Aggregation")),
        ({"value": 10, "count": 4, "min": 1, "max": 5, "kind": 1}, (2.5, 4, 10, 1, 5, None, "Aggregation")),
        ({"value": 10, "count": 4}, (2.5, 4, 10, None, None, None, "Measurement")),
        ({"value": 10, "kind": 1}, (10, 1, 10, None, None, None, "Aggregation")),
        ({"value": 10, "kind": 0, "count": 1}, (10, 1, 10, 10, 10, None, "Measurement")),
        ({"value": 10, "kind": "Measurement", "min": None}, (10, 1, 10, 10, 10, None, "Measurement")),
        ({"value": 0, "count": 0, "kind": 1}, (0, 0, 0, None, None, None, "Aggregation")),
    ],
)
def test_the_value_of_a_row_is_sum_over_count(point, expected):
    assert tuple(row(metric(**point))[column] for column in VALUES) == expected


def test_only_the_first_data_point_is_used_and_the_others_are_not_even_looked_at():
    item = metric("first", 1)
    item["data"]["baseData"]["metrics"].append({"name": 5, "value": "text"})
    assert row(item)["name"] == "first"


@pytest.mark.parametrize("place", ["tags", "data/baseData/properties"])
@pytest.mark.parametrize("value", [ABSENT, None, {}])
def test_tags_and_properties_may_be_left_out(place, value):
    found = row(changed(place, value))
    assert (found["cloud_RoleName"], found["customDimensions"]) == (
        ("triton", {}) if "data" in place else ("", {"model": "bert"})
    )


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-11-21T08:33:20Z", "2026-11-21T08:33:20Z"),
        ("2026-11-21T08:33:20.000000Z", "2026-11-21T08:33:20Z"),
        ("2026-11-21T08:33:20.252176Z", "2026-11-21T08:33:20.252176Z"),
        ("2026-11-21T08:33:20.100Z", "2026-11-21T08:33:20.1Z"),
        ("2026-11-21T08:33:20.123456789Z", "2026-11-21T08:33:20.1234567Z"),
    ],
)
def test_a_timestamp_is_kept_to_100_ns_without_trailing_zeros(sent, stored):
    assert row(changed("time", sent))["timestamp"] == stored


@pytest.mark.parametrize("base_type", [each for each in OTHER_TYPES if each not in ("EventData", "MessageData")])
def test_other_known_types_are_accepted_without_a_row(base_type):
    assert row(changed("data", {"baseType": base_type, "baseData": {"ver": 2}})) is None


def test_events_and_messages_are_accepted_without_a_row():
    assert row(event(measurements={"m1": 1, "m2": -0.5})) is None
    assert row(changed("data", {"baseType": "MessageData", "baseData": {"ver": 2, "message": "text"}})) is None


@pytest.mark.parametrize("value", [0, -0.0, -1, 10**300, 5e-324, sys.float_info.max, -sys.float_info.max])
def test_any_finite_number_is_a_value(value):
    assert row(metric(value=value))["valueSum"] == float(value)
