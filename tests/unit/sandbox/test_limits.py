"""Throttle and daily cap, with the time in hand."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox import Limits
from bridge.sandbox.limits import Meter
from tests.unit.sandbox.telemetry import KEY, NOW, changed, event, metric, post

SMALL = Limits(items_per_second=2, window=60)  # 120 items a minute
MIDNIGHT = NOW - NOW % 86_400 + 86_400


def test_the_services_own_limits_are_the_default():
    assert Limits() == Limits(items=64_000, item_bytes=65_536, items_per_second=32_000, window=60, daily=None)


def test_as_many_items_as_the_window_holds_are_admitted_and_one_more_is_not():
    meter = Meter(SMALL)
    assert meter.admit("key", 119, NOW) is None
    assert meter.admit("key", 1, NOW) is None
    assert meter.admit("key", 1, NOW).status == 429


def test_the_wait_ends_when_enough_has_left_the_window():
    meter = Meter(SMALL)
    meter.admit("key", 60, NOW)
    meter.admit("key", 60, NOW + 20)
    assert meter.admit("key", 10, NOW + 30).retry_after == 30
    assert meter.admit("key", 61, NOW + 30).retry_after == 50
    assert meter.admit("key", 10, NOW + 59.9).retry_after == 1
    assert meter.admit("key", 60, NOW + 60) is None


def test_more_than_the_window_ever_holds_is_told_to_wait_for_a_window():
    assert Meter(SMALL).admit("key", 121, NOW).retry_after == 60


def test_one_key_does_not_throttle_another():
    meter = Meter(SMALL)
    meter.admit("key", 120, NOW)
    assert meter.admit("other", 120, NOW) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 150)), max_size=20))
def test_no_window_holds_more_than_it_may_and_who_waits_as_told_gets_in(posts):
    meter, now, admitted = Meter(SMALL), NOW, []
    for pause, items in posts:
        now += pause
        refused = meter.admit("key", items, now)
        if refused and items <= 120:
            now += refused.retry_after
            assert meter.admit("key", items, now) is None
        if items <= 120:
            admitted.append((now, items))
        assert sum(count for at, count in admitted if at > now - 60) <= 120


def test_the_cap_is_reached_by_bytes_and_lasts_until_the_utc_day_ends():
    meter = Meter(Limits(daily=1000))
    meter.spend("key", 999, NOW)
    assert meter.admit("key", 1, NOW) is None
    meter.spend("key", 1, NOW)
    refused = meter.admit("key", 1, MIDNIGHT - 1)
    assert (refused.status, refused.retry_after) == (402, None)
    assert meter.admit("other", 1, NOW) is None
    assert meter.admit("key", 1, MIDNIGHT) is None


def test_a_throttled_post_is_429_for_every_item_with_a_wait_and_takes_nothing(start, clock):
    sandbox = start(limits=SMALL)
    assert post(sandbox, [metric()] * 120).status == 200
    clock.time += 15
    answer = post(sandbox, [metric(), metric()])
    assert (answer.status, answer.headers["Retry-After"]) == (429, "45")
    assert [error["statusCode"] for error in answer.json["errors"]] == [429, 429]
    clock.time += 45
    assert post(sandbox, [metric(), metric()]).status == 200
    assert len(sandbox.rows()) == 122


def test_items_of_a_key_that_is_not_throttled_go_through_beside_the_others(start):
    sandbox = start(limits=SMALL)
    post(sandbox, [metric()] * 120)
    answer = post(sandbox, [metric(), changed("iKey", "another")])
    assert (answer.status, answer.json["itemsAccepted"], answer.json["errors"][0]["index"]) == (206, 1, 0)
    assert "Retry-After" not in answer.headers


def test_items_that_belong_to_no_key_do_not_count_towards_a_throttle(start):
    sandbox = start(limits=SMALL, keys={KEY})
    post(sandbox, [changed("iKey", "another")] * 120)
    assert post(sandbox, [metric()] * 120).status == 200


def test_the_daily_cap_is_402_without_a_wait_until_midnight_utc(start, clock):
    sandbox = start(limits=Limits(daily=1))
    assert post(sandbox, [metric()]).status == 200
    answer = post(sandbox, [metric()])
    assert (answer.status, answer.headers["Retry-After"], answer.json["itemsAccepted"]) == (402, None, 0)
    clock.time = MIDNIGHT - 1
    assert post(sandbox, [metric()]).status == 402
    clock.time = MIDNIGHT
    assert post(sandbox, [changed("time", "2026-11-22T00:00:00Z")]).status == 200


@pytest.mark.parametrize(("items", "status", "received"), [(100, 200, 100), (101, 413, 0)])
@pytest.mark.parametrize("join", [lambda items: f"[{','.join(items)}]", "\n".join])
def test_a_post_holds_at_most_as_many_items_as_the_limit_says(start, join, items, status, received):
    answer = post(start(limits=Limits(items=100)), join([json.dumps(event())] * items))
    assert (answer.status, answer.json["itemsReceived"], answer.json["itemsAccepted"]) == (status, received, received)


@pytest.mark.parametrize(("size", "message"), [(65_536, None), (65_537, "Telemetry item length must not exceed 65536")])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_an_item_has_at_most_65536_bytes(sandbox, size, message, letter):
    """Bytes of UTF-8, not characters; the separators of the batch do not count."""
    item = changed("data/baseData/properties", {str(n): letter * 4000 for n in range(8 if letter == "ü" else 15)})
    item["padding"] = ""
    missing = size - len(json.dumps(item, ensure_ascii=False).encode())
    item["padding"] = "x" * missing
    answer = post(sandbox, f" [ {json.dumps(item, ensure_ascii=False)} , {json.dumps(metric())} ] ".encode())
    assert answer.messages == ([message] if message else [])


@pytest.mark.parametrize(("spare", "status"), [(0, 200), (-1, 413), (-10_000, 413)])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_has_at_most_as_many_bytes_as_the_limit_says_packed_or_not(start, spare, status, encoding):
    text = json.dumps([metric(f"m{n}") for n in range(50)]).encode()
    sandbox = start(limits=Limits(body=len(text) + spare))
    answer = post(sandbox, gzip.compress(text) if encoding == "gzip" else text, Content_Encoding=encoding)
    assert (answer.status, len(sandbox.rows())) == (status, 50 if status == 200 else 0)


def test_a_client_that_sends_too_much_gets_to_see_why(start):
    """What is sent is read to its end, or the client would find its connection broken while it still sends."""
    answer = post(start(limits=Limits(body=3_000_000)), b" " * 11_000_000)
    assert (answer.status, answer.reason) == (413, "Request body must not exceed 3000000 bytes")
