"""What a reply means for each point of the batch that it answers. No network here."""

import json
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.delivery.replies import Reply, plain
from bridge.delivery.verdicts import LONGEST_WAIT, combine, judge
from bridge.points import Batch, Condition, Receipt

NOW = 1_790_000_000.0
URL = "https://westeurope-5.in.applicationinsights.azure.com/v2.1/track"
TOO_OLD = "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms"
TOO_NEW = "104: Field 'time' on type 'Envelope' is newer than the max date. Expected: now + 7200000ms"
ELSEWHERE = "https://germanywestcentral-0.in.applicationinsights.azure.com/v2/track"
MOVED = f"Ingestion is allowed only from stamp specific endpoint - Location: {ELSEWHERE}"


def item(number):
    base = {"ver": 2, "properties": {"id": str(number)}, "metrics": [{"name": f"metric_{number}", "value": number}]}
    envelope = {"time": "2026-09-21T14:13:20Z", "data": {"baseType": "MetricData", "baseData": base}}
    return json.dumps(envelope).encode()


def batch(points):
    return Batch.pack([item(number) for number in range(points)])


def ids(*batches):
    return [
        int(json.loads(item)["data"]["baseData"]["properties"]["id"]) for batch in batches for item in batch.items()
    ]


def track(received, accepted, **errors):
    """The service's reply; errors as e3=(status, message)."""
    named = [{"index": int(key[1:]), "statusCode": code, "message": text} for key, (code, text) in errors.items()]
    return json.dumps({"itemsReceived": received, "itemsAccepted": accepted, "appId": None, "errors": named}).encode()


def verdict(status, body=b"", points=4, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge(Reply(status, named, body, URL), batch(points), NOW)


def total(verdict):
    receipt = verdict.receipt
    kept = sum(batch.points for batch in (*receipt.waiting, *verdict.again))
    return receipt.accepted + receipt.rejected + receipt.expired + kept


# -- a whole batch -------------------------------------------------------------------------------------------------


def test_200_accepts_all():
    assert verdict(200, track(4, 4)).receipt == Receipt(accepted=4)


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_200_without_a_body_accepts_all_and_counts_them_unconfirmed(body):
    assert verdict(200, body).receipt == Receipt(accepted=4, unconfirmed=4)


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b"[]", b"{}", b'{"itemsReceived": true, "itemsAccepted": 4}', b"\xff"]
)
def test_a_body_that_is_not_the_services_keeps_all(status, body):
    receipt = verdict(status, body).receipt

    assert ids(*receipt.waiting) == [0, 1, 2, 3]
    assert receipt.condition is Condition.INTERCEPTED
    assert "something other than Azure answers" in receipt.detail


def test_a_206_that_cannot_be_read_may_lead_to_repeats():
    """Some of the points were taken, and all of them will be sent again."""
    assert [verdict(status, b"<html>").receipt.possibly_repeated for status in (200, 206)] == [0, 4]


def test_fewer_accepted_than_sent_without_errors_are_rejected_unnamed():
    receipt = verdict(200, track(4, 3)).receipt

    assert (receipt.accepted, receipt.rejected) == (3, 1)
    assert [rejection.metric for rejection in receipt.rejections] == ["(unnamed)"]
    assert receipt.detail == "unnamed: Azure accepted 1 points fewer than it got, and did not say which"


@pytest.mark.parametrize(
    ("status", "condition"),
    [
        (101, Condition.INTERCEPTED),
        (204, Condition.INTERCEPTED),
        (301, Condition.INTERCEPTED),
        (302, Condition.INTERCEPTED),
        (307, Condition.MISCONFIGURED),
        (308, Condition.MISCONFIGURED),
        (401, Condition.MISCONFIGURED),
        (402, Condition.QUOTA),
        (403, Condition.MISCONFIGURED),
        (404, Condition.MISCONFIGURED),
        (405, Condition.MISCONFIGURED),
        (407, Condition.MISCONFIGURED),
        (408, Condition.UNREACHABLE),
        (429, Condition.THROTTLED),
        (439, Condition.QUOTA),
        (500, Condition.UNREACHABLE),
        (502, Condition.UNREACHABLE),
        (503, Condition.UNREACHABLE),
        (504, Condition.UNREACHABLE),
        (999, Condition.INTERCEPTED),
    ],
)
def test_what_is_not_the_points_fault_keeps_them_all(status, condition):
    result = verdict(status, track(4, 0, e0=(status, "No")))

    assert ids(*result.receipt.waiting) == [0, 1, 2, 3]
    assert result.receipt.condition is condition
    assert result.receipt.detail.endswith("(it says: No)")
    assert result.again == ()


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "role 'Monitoring Metrics Publisher'"),
        (403, "role 'Monitoring Metrics Publisher'"),
        (404, "copy the connection string of the resource from the Azure portal"),
        (402, "the daily cap of the resource is reached"),
        (439, "the daily cap of the resource is reached"),
        (405, "look for a proxy"),
        (204, "look for a proxy or a log-in page"),
    ],
)
def test_a_person_learns_what_to_do(status, remedy):
    assert remedy in verdict(status).receipt.detail


@pytest.mark.parametrize("status", [400, 413])
def test_what_is_refused_as_a_whole_is_halved(status):
    result = verdict(status, track(4, 0), points=5)

    assert [ids(half) for half in result.again] == [[0, 1], [2, 3, 4]]
    assert result.blunt


@pytest.mark.parametrize("status", [400, 413])
def test_a_point_that_is_refused_alone_is_rejected_with_the_services_words(status):
    result = verdict(status, b"Unknown domain type", points=1)

    assert result.blunt
    (rejection,) = result.receipt.rejections
    assert (rejection.metric, rejection.dimensions, rejection.time) == ("metric_0", {"id": "0"}, "2026-09-21T14:13:20Z")
    assert (rejection.status, rejection.reason) == (status, "Unknown domain type")


@pytest.mark.parametrize(
    "words", ["Incorrect API was used - v2 API does not support authentication", "Invalid instrumentation key"]
)
def test_a_400_that_blames_the_configuration_costs_no_point(words):
    receipt = verdict(400, words.encode()).receipt

    assert (sum(batch.points for batch in receipt.waiting), receipt.condition) == (4, Condition.MISCONFIGURED)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_followed_with_all_points(status):
    by_header = verdict(status, location=ELSEWHERE)
    by_words = verdict(status, track(4, 0, e0=(308, MOVED), e1=(308, MOVED)))

    assert by_header == by_words
    assert (by_header.location, ids(*by_header.again), by_header.receipt) == (ELSEWHERE, [0, 1, 2, 3], Receipt())


# -- item by item --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "condition"),
    [
        (408, "", Condition.UNREACHABLE),
        (500, "Internal Server Error", Condition.UNREACHABLE),
        (503, "", Condition.UNREACHABLE),
        (429, "", Condition.THROTTLED),
        (402, "", Condition.QUOTA),
        (439, "Daily quota exceeded", Condition.QUOTA),
        (401, "", Condition.MISCONFIGURED),
        (403, "", Condition.MISCONFIGURED),
        (404, "", Condition.MISCONFIGURED),
        (308, "no place named", Condition.MISCONFIGURED),
        (400, "Invalid instrumentation key", Condition.MISCONFIGURED),
        (400, TOO_NEW, Condition.CLOCK),
    ],
)
@pytest.mark.parametrize("whole", [206, 400])
def test_an_item_waits_for_what_is_not_its_fault(whole, status, message, condition):
    accepted = 3 if whole == 206 else 0
    result = verdict(whole, track(4, accepted, e2=(status, message)))

    assert ids(*result.receipt.waiting) == [2]
    assert (result.receipt.accepted, result.receipt.condition) == (accepted, condition)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "100: Field 'name' on type 'DataPoint' is too long."),
        (413, ""),
        (206, "Telemetry sampled out."),
        (418, "No"),
    ],
)
def test_an_item_is_rejected_for_what_is_its_fault(status, message):
    receipt = verdict(206, track(4, 3, e1=(status, message))).receipt

    assert (receipt.accepted, receipt.rejected, receipt.condition) == (3, 1, Condition.DELIVERING)
    assert [(one.metric, one.status, one.reason) for one in receipt.rejections] == [
        ("metric_1", status, message or f"HTTP {status}")
    ]


def test_an_item_that_is_too_old_has_expired():
    receipt = verdict(206, track(4, 2, e0=(400, TOO_OLD), e3=(400, TOO_OLD))).receipt

    assert receipt == Receipt(accepted=2, expired=2)


def test_a_fast_clock_is_measured_by_the_services():
    receipt = verdict(206, track(4, 3, e0=(400, TOO_NEW)), date=formatdate(NOW - 7500, usegmt=True)).receipt

    assert "clock is ahead by 7500 s" in receipt.detail


def test_items_that_are_redirected_go_on_alone():
    result = verdict(206, track(4, 2, e1=(308, MOVED), e3=(308, MOVED)))

    assert (result.location, ids(*result.again), result.receipt) == (ELSEWHERE, [1, 3], Receipt(accepted=2))


def test_under_400_items_that_are_not_named_are_posted_again():
    """They were not taken, and nothing was said against them."""
    result = verdict(400, track(4, 0, e1=(400, "bad")))

    assert (ids(*result.again), result.receipt.rejected, result.blunt) == ([0, 2, 3], 1, False)


def test_every_class_at_once_each_to_its_own():
    errors = {"e0": (400, "bad"), "e1": (500, ""), "e2": (400, TOO_OLD), "e3": (429, ""), "e4": (308, MOVED)}
    result = verdict(206, track(6, 1, **errors), points=6, retry_after="7")
    receipt = result.receipt

    assert (receipt.accepted, receipt.rejected, receipt.expired) == (1, 1, 1)
    assert sorted(ids(*receipt.waiting)) == [1, 3]
    assert ids(*result.again) == [4]
    assert (receipt.condition, receipt.not_before) == (Condition.THROTTLED, NOW + 7)


def test_an_index_outside_the_batch_is_logged_and_the_count_kept_honest(caplog):
    result = verdict(206, track(4, 3, e9=(500, "Internal Server Error")))

    assert (result.receipt.accepted, result.receipt.rejected, total(result)) == (3, 1, 4)
    assert "one that was not sent" in caplog.text


def test_of_two_errors_of_one_item_the_first_counts():
    errors = [{"index": 1, "statusCode": status, "message": ""} for status in (500, 400)]
    body = json.dumps({"itemsReceived": 2, "itemsAccepted": 1, "errors": errors}).encode()

    assert ids(*verdict(206, body, points=2).receipt.waiting) == [1]


def test_a_batch_of_which_all_items_wait_stays_the_same_bytes():
    """So that its failures can be counted."""
    one = batch(2)
    reply = Reply(206, {}, track(2, 0, e0=(500, ""), e1=(500, "")), URL)

    assert judge(reply, one, NOW).receipt.waiting[0] is one


def test_an_item_with_a_lone_surrogate_is_shown_like_any_other():
    name = json.dumps({"time": "t", "data": {"baseData": {"metrics": [{"name": "m\ud800"}], "properties": {}}}})
    receipt = judge(Reply(400, {}, b"bad"), Batch.pack([name.encode()]), NOW).receipt

    assert receipt.rejections[0].metric == "m\ud800"


# -- how long to wait ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "5"}, 5),
        ({"retry_after": " 2.5 "}, 2.5),
        ({"x_ms_retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"retry_after": formatdate(NOW + 630, usegmt=True), "date": formatdate(NOW + 600, usegmt=True)}, 30),
        ({"retry_after": "86400"}, LONGEST_WAIT),
        ({"retry_after": "9" * 300}, LONGEST_WAIT),
    ],
)
def test_429_waits_as_told_but_an_hour_at_most(headers, wait):
    assert verdict(429, **headers).receipt.not_before == NOW + wait


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "soon", "nan", "inf", "5, 5", formatdate(NOW - 5, usegmt=True), "Mon, 99 Foo"]
)
def test_429_that_names_no_time_to_come_leaves_it_to_our_patience(text):
    assert verdict(429, retry_after=text).receipt.not_before is None


def test_an_absurd_wait_is_said():
    assert "asks for 86400 s, an hour is waited at most" in verdict(429, retry_after="86400").receipt.detail


@pytest.mark.parametrize("status", [402, 439, 500, 503])
def test_retry_after_counts_for_429_alone(status):
    """The service sends it with no other status; what sends it otherwise stands in between."""
    assert verdict(status, retry_after="5").receipt.not_before is None


# -- invariants ----------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
messages = st.sampled_from([TOO_OLD, TOO_NEW, MOVED, "Invalid instrumentation key", "bad", "", None, 7])
statuses = st.sampled_from([200, 206, 307, 308, 400, 401, 402, 404, 408, 413, 429, 439, 500, 503]) | st.integers(
    100, 999
)
errors = st.lists(
    st.fixed_dictionaries(
        {}, optional={"index": st.integers(-1, 7) | anything, "statusCode": statuses | anything, "message": messages}
    )
    | anything,
    max_size=8,
)
counts = st.integers(-2, 8) | anything
track_bodies = st.fixed_dictionaries(
    {"itemsReceived": counts, "itemsAccepted": counts, "errors": errors | anything}
).map(lambda body: json.dumps(body).encode())
bodies = track_bodies | anything.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=20)
header_values = st.text(max_size=12) | st.sampled_from(
    ["5", "Wed, 21 Oct 2026 07:28:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359"]
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "x-ms-retry-after-ms", "location", "date"]), header_values, max_size=3
)


@given(statuses, headers, bodies, st.integers(1, 6))
@example(400, {}, json.dumps({"itemsReceived": 2, "itemsAccepted": 1, "errors": [{"index": 0}]}).encode(), 3)
def test_no_reply_loses_or_doubles_a_point(status, headers, body, points):
    """Accepted + rejected + expired + waiting + posted again = points, and none of them is kept twice."""
    result = judge(Reply(status, headers, body, URL), batch(points), NOW)
    kept = ids(*result.receipt.waiting, *result.again)

    assert total(result) == points
    assert len(kept) == len(set(kept))
    assert min(result.receipt.accepted, result.receipt.rejected, result.receipt.expired) >= 0
    assert result.receipt.not_before is None or NOW < result.receipt.not_before <= NOW + LONGEST_WAIT
    assert (result.receipt.detail == "") == (
        result.receipt.condition is Condition.DELIVERING and not result.receipt.rejected
    )


receipts = st.builds(
    Receipt,
    *[st.integers(0, 9)] * 3,
    st.lists(st.integers(1, 3).map(batch), max_size=2).map(tuple),
    condition=st.sampled_from(Condition),
    detail=st.text(max_size=3),
)


@given(st.lists(receipts, min_size=1, max_size=5))
def test_receipts_combined_hold_all_points_under_the_gravest_condition(receipts):
    combined = combine(receipts)
    holds = [
        one.accepted + one.rejected + one.expired + sum(b.points for b in one.waiting) for one in [combined, *receipts]
    ]

    assert holds[0] == sum(holds[1:])
    assert combined.condition in {one.condition for one in receipts}
    assert (combined.condition is Condition.DELIVERING) == all(
        one.condition is Condition.DELIVERING for one in receipts
    )


def test_every_condition_has_its_gravity():
    """combine() knows them all."""
    assert combine([Receipt(condition=condition) for condition in Condition]).condition is Condition.MISCONFIGURED


def test_foreign_words_are_one_line_without_secrets():
    text = "key 12345678-ABCD-1234-1234-123456789abc\n at\thttp://user:secret@proxy:3128/ said"

    assert plain(text) == "key *** at http://***@proxy:3128/ said"
    assert len(plain("x" * 1000)) == 200
