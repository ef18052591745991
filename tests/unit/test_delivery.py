"""Delivery over real HTTP, against the sandbox: no point is lost or doubled, and the service is obeyed."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import Gauge, Metric, NumberDataPoint
from opentelemetry.sdk.resources import Resource

from bridge.delivery import Delivery, context_tags
from bridge.delivery.attempt import MAX_POSTS, MAX_REDIRECTS
from bridge.envelopes import Encoder
from bridge.errors import ConfigurationError
from bridge.points import Batch, Condition
from bridge.sandbox import Limits, Sandbox
from bridge.times import utc

NOW = 1_790_000_000.0
KEY = "12345678-1234-1234-1234-123456789abc"
ENCODER = Encoder(KEY, {"ai.cloud.role": "triton"})


class Clock:
    def __init__(self):
        self.time = NOW

    def __call__(self):
        return self.time


@pytest.fixture(scope="module")
def sandboxes():
    """Two endpoints, the second to be redirected to; what they waste time on they do not wait for."""
    options = {"scriptable": True, "now": lambda: NOW, "sleep": lambda _: None}
    with Sandbox(**options) as first, Sandbox(**options) as second:
        yield first, second


@pytest.fixture
def sandbox(sandboxes):
    for each in sandboxes:
        each.script([])
        each.clear()
    return sandboxes[0]


@pytest.fixture
def other(sandbox, sandboxes):
    return sandboxes[1]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def deliver(sandbox, clock):
    """Makes Deliveries to the sandbox (or elsewhere), and closes them."""
    made = []

    def make(connection_string=sandbox.connection_string, **options):
        made.append(Delivery(connection_string, **{"clock": clock, **options}))
        return made[-1]

    yield make
    for delivery in made:
        delivery.close()


@pytest.fixture
def delivery(deliver):
    return deliver()


def items(numbers):
    """Envelopes whose value and dimension are their number; a negative number is one that spoils any POST (NaN)."""
    points = [
        NumberDataPoint({"id": str(number)}, int(NOW) * 10**9, int(NOW) * 10**9, float(number)) for number in numbers
    ]
    metric = Metric("metric", None, None, Gauge(points))
    return [
        item.replace(b'"value":%.1f' % number, b'"value":NaN') if number < 0 else item
        for item, number in zip(ENCODER.items([metric]), numbers, strict=True)
    ]


def batch(*numbers):
    return Batch.pack(items(numbers))


def arrived(*sandboxes):
    """The numbers of the rows that arrived, as often as they did, in numerical order."""
    return sorted(int(row["customDimensions"]["id"]) for each in sandboxes for row in each.rows())


def rejected(receipt):
    return sorted(int(rejection.dimensions["id"]) for rejection in receipt.rejections)


def waiting(receipt):
    texts = [item.replace(b"NaN", b"0") for batch in receipt.waiting for item in batch.items()]
    return sorted(int(json.loads(text)["data"]["baseData"]["properties"]["id"]) for text in texts)


def holds(receipt):
    return receipt.accepted + receipt.rejected + receipt.expired + sum(batch.points for batch in receipt.waiting)


# -- one reply -----------------------------------------------------------------------------------------------------


def test_points_arrive_and_are_counted(delivery, sandbox):
    one = batch(1, 2, 3)
    receipt = delivery.post(one)

    assert (receipt.accepted, receipt.waiting, receipt.detail, receipt.not_before) == (3, (), "", None)
    assert (receipt.posts, receipt.sent_bytes) == (1, len(one.body))
    assert arrived(sandbox) == [1, 2, 3]
    assert [(post.path, post.encoding, post.bytes) for post in sandbox.posts()] == [
        ("/v2.1/track", "gzip", len(one.body))
    ]


def test_an_empty_200_is_accepted_and_unconfirmed(delivery, sandbox):
    sandbox.script([{"empty": True}])
    receipt = delivery.post(batch(1, 2))

    assert (receipt.accepted, receipt.unconfirmed, receipt.condition) == (2, 2, Condition.DELIVERING)
    assert arrived(sandbox) == [1, 2]


def test_a_log_in_page_is_not_taken_for_azure(delivery, sandbox):
    sandbox.script([{"html": True}])
    receipt = delivery.post(batch(1, 2))

    assert (waiting(receipt), receipt.condition) == ([1, 2], Condition.INTERCEPTED)
    assert "Sign in to the network" in receipt.detail


def test_each_item_gets_its_own_verdict(delivery, sandbox):
    sandbox.script([{"items": {"1": {"status": 400, "message": "bad"}, "2": {"status": 500}}}])
    receipt = delivery.post(batch(1, 2, 3, 4))

    assert (arrived(sandbox), rejected(receipt), waiting(receipt)) == ([1, 4], [2], [3])
    assert arrived(sandbox) + rejected(receipt) == [1, 4, 2]


def test_a_point_that_is_not_taken_and_not_named_is_counted_as_rejected(delivery, sandbox):
    sandbox.script([{"short": 1}, {"bad_index": 7}])

    assert [(one.accepted, one.rejected) for one in (delivery.post(batch(1, 2)), delivery.post(batch(3, 4)))] == [
        (1, 1)
    ] * 2


def test_an_old_point_expires_and_a_future_one_waits(delivery, sandbox):
    def at(seconds):
        point = NumberDataPoint({"id": "0"}, 0, int(NOW + seconds) * 10**9, 1.0)
        return Batch.pack(list(ENCODER.items([Metric("metric", None, None, Gauge([point]))])))

    old, new = delivery.post(at(-49 * 3600)), delivery.post(at(3 * 3600))

    assert (old.expired, old.condition) == (1, Condition.DELIVERING)
    assert (len(new.waiting), new.condition) == (1, Condition.CLOCK)


def test_a_wrong_key_costs_no_point(clock):
    with Sandbox(keys=["00000000-0000-0000-0000-000000000001"], now=clock) as strict:
        delivery = Delivery(strict.connection_string, clock=clock)
        receipt = delivery.post(batch(1, 2))
        delivery.close()

    assert (waiting(receipt), receipt.condition) == ([1, 2], Condition.MISCONFIGURED)
    assert "copy the connection string" in receipt.detail


# -- no reply ------------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_no_repeat(deliver):
    receipt = deliver(f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:9").post(batch(1, 2))

    assert (waiting(receipt), receipt.possibly_repeated, receipt.condition) == ([1, 2], 0, Condition.UNREACHABLE)
    assert "http://127.0.0.1:9 cannot be reached" in receipt.detail
    assert "Connection refused" in receipt.detail


def test_a_host_without_a_name_is_no_repeat(deliver):
    receipt = deliver(f"InstrumentationKey={KEY};IngestionEndpoint=https://nowhere.invalid").post(batch(1))

    assert (receipt.possibly_repeated, receipt.condition) == (0, Condition.UNREACHABLE)


def test_https_to_a_port_that_speaks_http_is_no_repeat(deliver, sandbox):
    url = sandbox.url.replace("http:", "https:")
    receipt = deliver(f"InstrumentationKey={KEY};IngestionEndpoint={url}").post(batch(1))

    assert (receipt.possibly_repeated, receipt.condition) == (0, Condition.UNREACHABLE)


@pytest.mark.parametrize(
    "fault",
    [{"lost": True}, {"reset": "before"}, {"reset": "after"}, {"hang": 0}, {"dribble": {"every": 0, "most": 20}}],
    ids=str,
)
def test_a_lost_reply_leads_to_a_possible_repeat(delivery, sandbox, fault):
    """Connection closed, reset before or after reading, or broken off within the reply: nobody knows what was taken."""
    sandbox.script([fault])
    receipt = delivery.post(batch(1, 2))

    assert (waiting(receipt), receipt.possibly_repeated, receipt.condition) == ([1, 2], 2, Condition.UNREACHABLE)
    assert receipt.not_before is None
    assert delivery.post(*receipt.waiting).accepted == 2


def test_a_lost_reply_really_repeats(delivery, sandbox):
    sandbox.script([{"lost": True}])
    delivery.post(*delivery.post(batch(1)).waiting)

    assert arrived(sandbox) == [1, 1]


def test_past_the_deadline_the_reply_counts_as_lost_and_the_next_post_goes_through(deliver, sandbox):
    sandbox.script([{"hang": True}])
    delivery = deliver(post_deadline=0.2)
    receipt = delivery.post(batch(1, 2))

    assert (waiting(receipt), receipt.possibly_repeated, receipt.condition) == ([1, 2], 2, Condition.UNREACHABLE)
    assert "no complete reply" in receipt.detail
    assert delivery.post(batch(3)).accepted == 1


def test_a_reply_that_dribbles_past_the_deadline_is_given_up(deliver):
    """Each byte would restart a socket's own time-out."""
    with Sandbox(scriptable=True) as slow:
        slow.script([{"dribble": 0.05}])
        receipt = deliver(slow.connection_string, post_deadline=0.2).post(batch(1))

    assert (receipt.possibly_repeated, receipt.condition) == (1, Condition.UNREACHABLE)


def test_an_endless_reply_is_given_up(delivery, sandbox, monkeypatch):
    monkeypatch.setattr("bridge.delivery.endpoint._LONGEST_REPLY", 1000)
    sandbox.script([{"body": "x" * 5000}])
    receipt = delivery.post(batch(1))

    assert (receipt.possibly_repeated, receipt.condition) == (1, Condition.UNREACHABLE)
    assert "does not end" in receipt.detail


# -- when to try again ---------------------------------------------------------------------------------------------

SLOW = [
    (Condition.QUOTA, {"status": 402}),
    (Condition.QUOTA, {"status": 439}),
    (Condition.MISCONFIGURED, {"status": 401}),
    (Condition.MISCONFIGURED, {"status": 403}),
    (Condition.MISCONFIGURED, {"status": 404}),
    (Condition.MISCONFIGURED, {"status": 405}),
    (Condition.INTERCEPTED, {"html": True}),
    (Condition.INTERCEPTED, {"status": 204}),
    (Condition.REFUSED, {"status": 400, "body": "no"}),
    (Condition.THROTTLED, {"status": 429}),
    (Condition.CLOCK, {"items": {"0": {"status": 400, "message": "104: Field 'time' is newer"}}}),
]


@pytest.mark.parametrize(("condition", "reply"), SLOW, ids=str)
def test_what_no_repetition_mends_is_asked_at_growing_distances(delivery, sandbox, clock, condition, reply):
    sandbox.script([{**reply, "times": 6}])
    distances = []
    for _ in range(6):
        receipt = delivery.post(batch(1))
        distances.append(receipt.not_before - clock.time)
        clock.time = receipt.not_before

    assert distances == [60, 120, 240, 480, 900, 900]
    assert (receipt.condition, delivery.condition, waiting(receipt)) == (condition, condition, [1])
    assert receipt.detail.endswith(f"; nothing is posted before {utc(receipt.not_before)}")


def test_a_success_ends_the_pause_and_its_growth(delivery, sandbox, clock):
    sandbox.script([{"status": 402, "times": 3}, {"pass": True}, {"status": 402}])
    for _ in range(3):
        clock.time = delivery.post(batch(1)).not_before
    passed = delivery.post(batch(1))

    assert (passed.accepted, passed.condition, delivery.not_before) == (1, Condition.DELIVERING, 0.0)
    assert delivery.post(batch(2)).not_before == clock.time + 60


def test_during_a_pause_nothing_is_posted(delivery, sandbox, clock):
    sandbox.script([{"status": 402}])
    first = delivery.post(batch(1))
    clock.time = first.not_before - 1
    held = delivery.post(batch(2))

    assert (held.waiting, held.condition, held.detail) == ((batch(2),), Condition.QUOTA, first.detail)
    assert (held.posts, held.not_before, len(sandbox.posts())) == (0, first.not_before, 1)


def test_after_a_pause_one_probe_goes_for_all(delivery, sandbox, clock):
    sandbox.script([{"status": 402, "times": 2}])
    clock.time = delivery.post(batch(1)).not_before
    probe, held = delivery.post(batch(2)), delivery.post(batch(3))

    assert (probe.posts, held.posts) == (1, 0)


@pytest.mark.parametrize("told", [5, "date:+5"])
def test_429_is_waited_for_as_told(delivery, sandbox, told):
    sandbox.script([{"status": 429, "retry_after": told}])
    receipt = delivery.post(batch(1))

    assert (receipt.not_before, delivery.not_before, receipt.condition) == (NOW + 5, NOW + 5, Condition.THROTTLED)


def test_an_absurd_wait_ends_after_an_hour(delivery, sandbox):
    sandbox.script([{"status": 429, "retry_after": 86400}])

    assert delivery.post(batch(1)).not_before == NOW + 3600


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_while_unreachable_the_next_try_is_the_callers_affair(delivery, sandbox, status):
    sandbox.script([{"status": status}])
    receipt = delivery.post(batch(1))

    assert (receipt.condition, receipt.not_before) == (Condition.UNREACHABLE, None)
    assert delivery.post(*receipt.waiting).accepted == 1


# -- redirects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_followed_and_its_host_remembered(delivery, sandbox, other, status):
    sandbox.script([{"status": status, "location": f"{other.url}/v2/track"}])
    first, second = delivery.post(batch(1)), delivery.post(batch(2))

    assert (first.accepted, first.posts, second.accepted, second.posts) == (1, 2, 1, 1)
    assert (arrived(sandbox), arrived(other)) == ([], [1, 2])


def test_items_that_belong_elsewhere_go_there_alone(delivery, sandbox, other):
    message = f"Ingestion is allowed only from stamp specific endpoint - Location: {other.url}/v2/track"
    sandbox.script([{"items": {"0": {"status": 308, "message": message}, "2": {"status": 308, "message": message}}}])
    receipt = delivery.post(batch(1, 2, 3))

    assert (receipt.accepted, arrived(sandbox), arrived(other)) == (3, [2], [1, 3])


def test_redirects_in_a_circle_end(delivery, sandbox, other):
    sandbox.script([{"status": 308, "location": other.url, "times": 50}])
    other.script([{"status": 308, "location": sandbox.url, "times": 50}])
    receipt = delivery.post(batch(1))

    assert (receipt.posts, waiting(receipt), receipt.condition) == (MAX_REDIRECTS + 1, [1], Condition.MISCONFIGURED)
    assert "in a circle" in receipt.detail


def test_a_redirect_to_a_foreign_host_is_named_and_not_followed(delivery, sandbox):
    sandbox.script([{"status": 308, "location": "https://evil.example/v2/track"}])
    receipt = delivery.post(batch(1))

    assert (receipt.posts, waiting(receipt), receipt.condition) == (1, [1], Condition.MISCONFIGURED)
    assert "redirects to https://evil.example/v2/track" in receipt.detail


def test_a_redirect_without_a_place_keeps_the_points(delivery, sandbox):
    sandbox.script([{"status": 308}])

    assert delivery.post(batch(1)).condition is Condition.MISCONFIGURED


def test_a_host_that_was_learnt_is_forgotten_when_it_cannot_be_reached(delivery, sandbox, clock):
    with Sandbox(now=clock) as gone:
        sandbox.script([{"status": 308, "location": gone.url}])
        delivery.post(batch(1))
    refused = delivery.post(batch(2))

    assert (refused.accepted, waiting(refused), refused.possibly_repeated) == (0, [2], 0)
    assert delivery.post(*refused.waiting).accepted == 1
    assert arrived(sandbox) == [2]


# -- splitting -----------------------------------------------------------------------------------------------------


def test_a_point_that_spoils_its_batch_is_found_and_rejected(delivery, sandbox):
    numbers = [*range(1, 100)]
    numbers[41] = -42
    receipt = delivery.post(batch(*numbers))

    assert (rejected(receipt), receipt.waiting, receipt.condition) == ([-42], (), Condition.DELIVERING)
    assert arrived(sandbox) == [number for number in range(1, 100) if number != 42]
    assert receipt.posts == len(sandbox.posts()) <= 15
    assert receipt.sent_bytes == sum(post.bytes for post in sandbox.posts())


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_splitting_neither_loses_nor_doubles_a_point(sandboxes, data):
    """Whatever points spoil the batch, however many attempts it takes, once another batch has passed."""
    sandbox = sandboxes[0]
    sandbox.clear()
    sandbox.script([])
    signs = data.draw(st.lists(st.sampled_from([1, 1, 1, -1]), min_size=1, max_size=80))
    numbers = [sign * number for number, sign in enumerate(signs, 1)]
    clock = Clock()
    delivery = Delivery(sandbox.connection_string, clock=clock)
    queue, found = [batch(*numbers)], []
    for _ in range(100):
        if not queue:
            break
        receipt = delivery.post(queue[0])
        assert holds(receipt) == queue[0].points
        found += rejected(receipt)
        queue = [*receipt.waiting, *queue[1:]]
        clock.time = max(clock.time, receipt.not_before or 0)
        delivery.post(batch(1000))  # the next cycle's
    delivery.close()

    assert queue == []
    assert sorted(found) == sorted(number for number in numbers if number < 0)
    assert [number for number in arrived(sandbox) if number != 1000] == [number for number in numbers if number > 0]


@pytest.mark.parametrize(("points", "posts"), [(1, 1), (2, 3), (4, 7), (16, 15), (500, 15)])
def test_a_refusal_of_every_part_is_not_the_points_fault(delivery, sandbox, points, posts):
    """Three levels of halves are refused alike: all are kept, as the batch that they were."""
    whole = batch(*range(-points, 0))
    receipt = delivery.post(whole)

    assert (receipt.waiting, receipt.posts, receipt.condition) == ((whole,), posts, Condition.REFUSED)
    assert "so it is not the points' fault" in receipt.detail


@pytest.mark.parametrize("points", [1, 4, 20])
def test_once_others_have_passed_it_is_the_points_fault(delivery, sandbox, clock, points):
    """A lone bad point, or a batch of nothing else, is not repeated for ever."""
    bad = batch(*range(-points, 0))
    clock.time = delivery.post(bad).not_before
    delivery.post(batch(1))
    receipt = delivery.post(bad)

    assert (rejected(receipt), receipt.condition) == ([*range(-points, 0)], Condition.DELIVERING)


def test_a_second_outage_is_no_evidence_against_the_points(delivery, sandbox, clock):
    """Others passed once, but just now nothing does."""
    sandbox.script([{"status": 400, "body": "no"}, {"pass": True}, {"status": 400, "body": "no", "times": 2}])
    for number in (1, 2, 3):
        clock.time = delivery.post(batch(number)).not_before or clock.time
    receipt = delivery.post(batch(1))

    assert (waiting(receipt), receipt.condition) == ([1], Condition.REFUSED)


def test_an_attempt_ends_after_64_posts_and_the_next_goes_on(delivery, sandbox):
    bad = range(30, 201, 5)
    queue = [batch(*(-number if number in bad else number for number in range(1, 201)))]
    receipts = []
    while queue and len(receipts) < 200:
        receipts.append(delivery.post(queue.pop(0)))
        queue += receipts[-1].waiting

    assert (receipts[0].posts, receipts[0].condition) == (MAX_POSTS, Condition.DELIVERING)
    assert "the search for those that Azure refuses goes on" in receipts[0].detail
    assert sorted(-number for receipt in receipts for number in rejected(receipt)) == [*bad]
    assert arrived(sandbox) == [number for number in range(1, 201) if number not in bad]


def test_a_batch_that_is_too_large_is_halved_until_it_fits(clock):
    numbers = [*range(1, 101)]
    with Sandbox(limits=Limits(body=batch(*numbers).size // 12), now=clock) as narrow:
        delivery = Delivery(narrow.connection_string, clock=clock)
        receipt = delivery.post(batch(*numbers))
        delivery.close()

        assert (receipt.accepted, receipt.waiting, receipt.posts) == (100, (), 31)
        assert arrived(narrow) == numbers


def test_a_point_that_is_too_large_alone_is_rejected_where_others_fit(delivery, sandbox):
    sandbox.script([{"status": 413}, {"status": 413}, {"pass": True}])
    receipt = delivery.post(batch(1, 2))

    assert (receipt.accepted, rejected(receipt)) == (1, [1])
    assert receipt.rejections[0].status == 413


def test_where_not_even_one_point_fits_none_is_lost(clock):
    """A gateway that lets nothing through says nothing of the points."""
    with Sandbox(limits=Limits(body=10), now=clock) as gateway:
        delivery = Delivery(gateway.connection_string, clock=clock)
        receipt = delivery.post(batch(1, 2, 3))
        delivery.close()

    assert (waiting(receipt), receipt.condition) == ([1, 2, 3], Condition.REFUSED)


@pytest.mark.parametrize("fault", [{"status": 503}, {"hang": 0}, {"status": 402}], ids=str)
def test_a_failure_among_the_parts_ends_the_attempt(delivery, sandbox, fault):
    sandbox.script([{"status": 413}, {"status": 413}, fault])
    receipt = delivery.post(batch(1, 2, 3, 4))

    assert (waiting(receipt), receipt.posts, arrived(sandbox)) == ([1, 2, 3, 4], 3, [])


@pytest.mark.parametrize("fault", [{"status": 500}, {"hang": 0}], ids=str)
def test_a_batch_that_fails_three_times_while_others_pass_is_split(delivery, sandbox, fault):
    """The service stumbles over one of its points; the others must not wait for it."""
    stone = batch(1, 2, 3, 4)
    for _ in range(3):
        sandbox.script([fault, {"pass": True}])
        assert delivery.post(stone).waiting == (stone,)
        delivery.post(batch(1000))
    sandbox.script([{"status": 500}, {"pass": True}, {"pass": True}, {"status": 500}])
    receipt = delivery.post(stone)

    assert [post.items for post in sandbox.posts()][-4:] == [2, 2, 1, 1]
    assert (arrived(sandbox)[:3], waiting(receipt), receipt.condition) == ([1, 3, 4], [2], Condition.UNREACHABLE)


def test_a_batch_that_fails_in_an_outage_is_not_split(delivery, sandbox):
    sandbox.script([{"status": 503, "times": 9}])
    for number in range(9):
        delivery.post(batch(1, 2) if number % 2 else batch(3, 4))
    delivery.post(batch(3, 4))
    receipt = delivery.post(batch(1, 2))

    assert (receipt.accepted, receipt.posts) == (2, 1)


# -- the whole -----------------------------------------------------------------------------------------------------

honest = st.sampled_from(  # replies under which points are taken if, and only if, they are said to be
    [{"status": status} for status in (400, 401, 402, 403, 404, 405, 408, 413, 429, 439, 500, 502, 503, 504, 302)]
    + [
        {"status": 400, "body": "no"},
        {"status": 429, "retry_after": 7},
        {"html": True},
        {"empty": True},
        {"pass": True},
    ]
    + [{"status": 308, "location": place} for place in ("http://127.0.0.1:1", "https://evil.example", "/v2/track")]
    + [{"status": 206, "body": "<html>", "take": False}, {"reset": "before"}, {"hang": 0}]
)
item_errors = st.dictionaries(
    st.integers(0, 9).map(str),
    st.fixed_dictionaries(
        {"status": st.sampled_from([400, 402, 404, 408, 413, 429, 500])},
        optional={
            "message": st.sampled_from(
                ["bad", "103: Field 'time' is older", "104: newer", "Invalid instrumentation key"]
            )
        },
    ),
    max_size=4,
).map(lambda errors: {"items": errors})


@settings(deadline=None, max_examples=150)
@given(replies=st.lists(honest | item_errors, max_size=8), points=st.integers(1, 10))
def test_whatever_the_service_answers_every_point_has_one_fate(sandboxes, replies, points):
    """Accepted points are the rows that arrived, once each; what is neither accepted nor given up waits."""
    sandbox = sandboxes[0]
    sandbox.clear()
    sandbox.script(replies)
    clock = Clock()
    delivery = Delivery(sandbox.connection_string, clock=clock)
    queue = [batch(*range(points))]
    accepted, given_up = 0, 0
    for _ in range(40):
        if not queue:
            break
        one = queue.pop(0)
        receipt = delivery.post(one)
        assert holds(receipt) == one.points
        queue += receipt.waiting
        accepted += receipt.accepted
        given_up += receipt.rejected + receipt.expired
        assert receipt.not_before == (delivery.not_before or None)
        clock.time = max(clock.time, delivery.not_before)
        assert Counter(arrived(sandbox)).most_common(1)[0][1] == 1 if accepted else not arrived(sandbox)
        assert len(sandbox.rows()) == accepted
    delivery.close()

    assert (accepted + given_up, queue) == (points, [])


def test_an_attempt_ends_when_its_time_is_over(deliver, sandbox):
    ticks = iter(range(1000))
    delivery = deliver(monotonic=lambda: float(next(ticks)))
    sandbox.script([{"status": 413, "times": 20}])
    receipt = delivery.post(batch(*range(16)), timeout=9)

    assert waiting(receipt) == [*range(16)]
    assert 1 <= receipt.posts < 20


def test_without_time_or_points_nothing_is_posted(delivery, sandbox):
    assert delivery.post(batch(1), timeout=0).waiting == (batch(1),)
    assert delivery.post(Batch.pack([])).waiting == ()
    assert sandbox.posts() == []


def test_no_key_shows_in_a_detail(deliver, sandbox, clock):
    delivery = deliver(f"InstrumentationKey={KEY};IngestionEndpoint={sandbox.url}")
    sandbox.script([{"status": 403, "body": f"key {KEY} is not allowed"}])

    assert KEY not in delivery.post(batch(1)).detail


# -- set-up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "InstrumentationKey=",
        "InstrumentationKey=nonsense",
        f"InstrumentationKey={KEY};IngestionEndpoint=dc.example",
    ],
)
def test_a_connection_string_that_cannot_be_used_is_named(text):
    with pytest.raises(
        ConfigurationError, match=r"APPLICATIONINSIGHTS_CONNECTION_STRING: .*copy the connection string"
    ):
        Delivery(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "https://dc.services.visualstudio.com"),
        (
            ";IngestionEndpoint=https://x.in.applicationinsights.azure.com/",
            "https://x.in.applicationinsights.azure.com",
        ),
        (";EndpointSuffix=applicationinsights.us;", "https://dc.applicationinsights.us"),
        (";EndpointSuffix=ai.example;Location=west", "https://west.dc.ai.example"),
        (";ingestionendpoint=https://gateway.example/azure/", "https://gateway.example/azure"),
    ],
)
def test_the_endpoint_is_the_connection_strings(deliver, text, url):
    assert deliver(f"InstrumentationKey={KEY}{text}")._endpoint.url == url


def test_no_key_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("APPINSIGHTS_INSTRUMENTATIONKEY", KEY)

    with pytest.raises(ConfigurationError):
        Delivery("IngestionEndpoint=https://dc.services.visualstudio.com")


def test_the_environment_does_not_matter_and_stays_as_it_is(deliver, sandbox, other, monkeypatch):
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "what=ever;;")
    monkeypatch.setenv("APPINSIGHTS_INSTRUMENTATIONKEY", "what ever")
    monkeypatch.setenv("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "Authorization=AAD")
    monkeypatch.setenv("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "false")
    before = dict(os.environ)
    delivery = deliver()
    sandbox.script([{"status": 308, "location": other.url}])

    assert delivery.post(batch(1)).accepted == 1
    assert dict(os.environ) == before


def test_azures_packages_are_loaded_only_when_needed():
    """They take 0.3 s, which --help must not pay."""
    program = "import sys, bridge.delivery; sys.exit(any(name.split('.')[0] == 'azure' for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_tags_of_a_resource_are_the_exporters_own(monkeypatch):
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "what=ever;;")
    attributes = {"service.namespace": "ml", "service.name": "triton", "service.version": "2", "k8s.pod.name": "pod-7"}
    tags = context_tags(Resource(attributes))

    assert (tags["ai.cloud.role"], tags["ai.cloud.roleInstance"]) == ("ml.triton", "pod-7")
    assert tags["ai.application.ver"] == "2"
    assert ":ext" in tags["ai.internal.sdkVersion"]


def test_one_thread_posts_and_ends_with_the_delivery(deliver, sandbox):
    before = set(threading.enumerate())
    delivery = deliver()
    for number in range(3):
        delivery.post(batch(number))
    posting = [thread for thread in set(threading.enumerate()) - before if thread.name == "post"]
    delivery.close()
    for thread in posting:
        thread.join(10)

    assert [thread.is_alive() for thread in posting] == [False]
