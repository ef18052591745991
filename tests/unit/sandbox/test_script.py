"""The script itself: order, times, and everything that can be wrong in it."""

import json

import pytest

from bridge.errors import BridgeError, ConfigurationError
from tests.unit.sandbox.telemetry import metric, post, request

BODY = json.dumps([metric("a"), metric("b"), metric("c")]).encode()


FIELDS = (
    "status, headers, body, retry_after, location, delay, reset, lost, hang, dribble, empty, html, items, bad_index,"
    " short, take, times, pass"
)


def test_replies_are_given_in_order_and_times_over_one_a_track_post_and_then_the_usual_ones(sandbox):
    sandbox.script([{"pass": True, "times": 2}, {"status": 503, "times": 2}, {}])
    assert sandbox.replies_left == 5
    request(sandbox, "GET", "/_rows")
    post(sandbox, BODY, "/nowhere")
    assert [post(sandbox, BODY).status for _ in range(7)] == [200, 200, 503, 503, 200, 200, 200]
    assert sandbox.replies_left == 0


def test_a_post_that_is_not_json_uses_its_reply_up_as_well(sandbox):
    sandbox.script([{"status": 503}, {"pass": True}])
    assert [post(sandbox, "[NaN]").status, post(sandbox, "[NaN]").status] == [503, 400]


def test_a_new_script_takes_the_place_of_what_was_left(sandbox):
    sandbox.script([{"status": 503, "times": 9}])
    sandbox.script([{"status": 500}])
    assert [post(sandbox, BODY).status for _ in range(2)] == [500, 200]
    sandbox.script([{"status": 503}])
    sandbox.script([])
    assert post(sandbox, BODY).status == 200


def test_the_script_comes_over_http_too(sandbox):
    answer = request(sandbox, "POST", "/_script", json.dumps([{"status": 418, "times": 3}]))
    assert (answer.status, answer.json) == (200, {"replies_left": 3})
    assert post(sandbox, BODY).status == 418


def test_without_scriptable_a_script_is_refused_in_clear_words(start):
    sandbox = start()
    answer = request(sandbox, "POST", "/_script", "[]")
    assert (answer.status, answer.body) == (403, b"This sandbox takes no script: start it with --scriptable\n")
    with pytest.raises(BridgeError, match="takes no script"):
        sandbox.script([])


@pytest.mark.parametrize("body", [b"", b"{", b"[NaN", b"\xff", b"[" * 100_000])
def test_a_script_that_is_not_json_is_400(sandbox, body):
    answer = request(sandbox, "POST", "/_script", body)
    assert (answer.status, answer.body.startswith(b"script: is not JSON: ")) == (400, True)


def test_everything_that_is_wrong_in_a_script_comes_back_at_once_with_place_and_remedy(sandbox):
    sandbox.script([{"status": 503}])
    answer = request(sandbox, "POST", "/_script", json.dumps([{"delayy": 3}, {"status": 99, "lost": 1}, 5]))
    assert answer.status == 400
    assert answer.body.decode().splitlines() == [
        "[0].delayy: unknown field — one of " + FIELDS,
        "[1].status: 99 does not fit — a whole number from 200 to 599",
        "[1].lost: 1 does not fit — true or false",
        '[2]: is not an object — write {} for a usual reply, {"status": 503} for a fault',
    ]
    assert post(sandbox, BODY).status == 503


@pytest.mark.parametrize("entries", [None, {}, {"status": 500}, "text", 5])
def test_a_script_is_a_list(sandbox, entries):
    with pytest.raises(ConfigurationError, match="script: is not a list"):
        sandbox.script(entries)


@pytest.mark.parametrize(
    "entry",
    [
        {"status": "500"}, {"status": True}, {"status": 600}, {"status": 500.0},
        {"headers": []}, {"headers": {"A": 5}}, {"headers": {"A": "x\r\nB: y"}}, {"headers": {"A": "ü"}},
        {"retry_after": -1}, {"retry_after": "5"}, {"retry_after": "date:soon"}, {"retry_after": "date:nan"}, {"retry_after": None},
        {"location": 5}, {"location": "http://x\r\n"},
        {"delay": -1}, {"delay": "1"}, {"delay": True}, {"delay": float("inf")}, {"delay": float("nan")},
        {"reset": "during"}, {"reset": 1}, {"lost": "yes"}, {"hang": -1}, {"hang": "yes"},
        {"dribble": -1}, {"dribble": {}}, {"dribble": {"every": 1, "most": -1}}, {"dribble": {"every": 1, "times": 1}}, {"dribble": True},
        {"items": []}, {"items": {"x": {"status": 500}}}, {"items": {"-1": {"status": 500}}}, {"items": {"0": 500}},
        {"items": {"0": {}}}, {"items": {"0": {"status": 500, "text": ""}}}, {"items": {"0": {"status": 500, "message": 5}}},
        {"bad_index": -1}, {"bad_index": True}, {"short": 0}, {"short": 1.5}, {"take": 1}, {"times": 0}, {"pass": "yes"},
        {"lost": True, "hang": True}, {"reset": "after", "lost": True}, {"empty": True, "html": True}, {"html": True, "body": ""},
        {"lost": True, "status": 503}, {"hang": 0, "retry_after": 5}, {"reset": "before", "headers": {"A": "b"}},
        {"pass": True, "status": 503}, {"pass": True, "delay": 1},
    ],
)  # fmt: skip
def test_a_field_with_a_value_of_another_kind_or_one_that_cannot_be_seen_is_an_error(sandbox, entry):
    with pytest.raises(ConfigurationError) as error:
        sandbox.script([{}, entry])
    assert len(error.value.findings) == 1
    assert error.value.findings[0].place.startswith("[1]")
    assert error.value.findings[0].remedy


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"lost": False, "hang": False, "reset": False, "empty": False},
        {"pass": False, "status": 500},
        {"pass": True, "lost": False},
        {"lost": True, "delay": 1},
    ],
)
def test_what_is_switched_off_is_as_if_it_was_not_there(sandbox, entry):
    sandbox.script([entry])
    assert sandbox.replies_left == 1
