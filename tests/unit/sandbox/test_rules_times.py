"""When an item may be from: 48 hours ago to 2 hours ahead, written as ISO 8601 in UTC."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.refusals import Refused
from bridge.sandbox.rules import identify, judge, seconds
from tests.unit.sandbox.telemetry import NOW, changed


def verdict(item):
    """None if the item is accepted, else what is said against it."""
    try:
        identify(item)
        judge(item, NOW)
    except Refused as refused:
        return refused.message
    return None


def at(offset):
    moment = datetime.fromtimestamp(NOW, timezone.utc) + timedelta(seconds=offset)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("offset", [-172_800, -172_799.5, 0, 7_199.5, 7_200])
def test_a_time_from_48_hours_ago_to_2_hours_ahead_is_accepted(offset):
    assert verdict(changed("time", at(offset))) is None


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (
            -172_800.001,
            "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms",
        ),
        (-NOW, "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms"),
        (7_200.001, "104: Field 'time' on type 'Envelope' is newer than the max date. Expected: now + 7200000ms"),
    ],
)
def test_a_time_outside_of_the_window_is_refused(offset, message):
    assert verdict(changed("time", at(offset))) == message


@pytest.mark.parametrize(
    "time",
    [
        "fake",
        "1795250000",
        "2026-11-21",
        "2026-11-21T08:33:20",
        "2026-11-21 08:33:20Z",
        "2026-11-21T08:33:20+00:00",
        "2026-11-21T08:33:20z",
        "2026-11-21T08:33Z",
        "2026-11-21T08:33:20.Z",
        "2026-02-30T08:33:20Z",
        "2026-11-21T24:00:00Z",
        " 2026-11-21T08:33:20Z",
        "２０２６-11-21T08:33:20Z",
    ],
)
def test_a_time_is_iso_8601_in_utc_with_a_z(time):
    message = "102: Field 'time' on type 'Envelope' is not a valid time string. Expected: date"
    assert verdict(changed("time", time)) == message


@settings(deadline=None)
@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 (UTC is added below)
def test_seconds_reads_the_time_that_datetime_writes(moment):
    moment = moment.replace(tzinfo=timezone.utc)
    expected = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)
    assert seconds(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == pytest.approx(expected, abs=1e-4)
