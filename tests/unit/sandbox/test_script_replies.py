"""The faults that a script asks for, each over real HTTP."""

import json
import socket
import threading
from email.utils import formatdate

import pytest

from tests.unit.sandbox.telemetry import NOW, arrived, changed, connect, ended, metric, post, raw

BODY = json.dumps([metric("a"), metric("b"), metric("c")]).encode()


POST = b"POST /v2.1/track HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def scripted(sandbox, *entries):
    """The answers to one POST of three metrics an entry, and the names of the rows that came of them."""
    sandbox.script(list(entries))
    answers = [post(sandbox, BODY) for _ in entries]
    return answers[0] if len(answers) == 1 else answers


def names(sandbox):
    return [row["name"] for row in sandbox.rows()]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Bad Request"),
        (401, "Unauthorized - please provide the valid authorization token"),
        (402, "Daily quota exceeded"),
        (403, "Forbidden - provided credentials do not grant the access to ingest the telemetry into the component"),
        (404, "Ingestion is allowed only from stamp specific endpoint"),
        (408, "Request Timeout"),
        (429, "Too many requests"),
        (439, "Daily quota exceeded"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ],
)
def test_status_refuses_every_item_with_what_the_service_says(sandbox, status, message):
    answer = scripted(sandbox, {"status": status})
    assert (answer.status, answer.reason) == (status, message)
    assert answer.json == {
        "itemsReceived": 3,
        "itemsAccepted": 0,
        "appId": None,
        "errors": [{"index": index, "statusCode": status, "message": message} for index in range(3)],
    }
    assert names(sandbox) == []


@pytest.mark.parametrize("status", [307, 308])
def test_location_makes_a_redirect(sandbox, status):
    target = "https://germanywestcentral-0.in.applicationinsights.azure.com/v2/track"
    answer = scripted(sandbox, {"status": status, "location": target})
    assert (answer.status, answer.headers["Location"]) == (status, target)
    assert answer.messages == [f"Ingestion is allowed only from stamp specific endpoint - Location: {target}"] * 3


def test_a_2xx_status_takes_points_by_the_usual_rules(sandbox):
    sandbox.script([{"status": 206}, {"status": 200}])
    first, second = post(sandbox, BODY), post(sandbox, [metric("good"), changed("time", "fake")])
    assert (first.status, first.json["errors"]) == (206, [])
    assert (second.status, second.reason, second.json["itemsAccepted"], len(second.messages)) == (200, "OK", 1, 1)
    assert names(sandbox) == ["a", "b", "c", "good"]


@pytest.mark.parametrize(
    ("wait", "header"),
    [
        (5, "5"),
        (0, "0"),
        (0.5, "0.5"),
        ("date:+5", formatdate(NOW + 5, usegmt=True)),
        ("date:-60", formatdate(NOW - 60, usegmt=True)),
    ],
)
def test_retry_after_is_seconds_or_a_date(sandbox, wait, header):
    assert scripted(sandbox, {"status": 429, "retry_after": wait}).headers["Retry-After"] == header


def test_headers_are_added_and_take_the_place_of_the_usual_ones(sandbox):
    answer = scripted(sandbox, {"headers": {"Cache-Control": "max-age=60", "server": "proxy", "Retry-After": "soon"}})
    assert [answer.headers[name] for name in ("Cache-Control", "Server", "Retry-After")] == [
        "max-age=60",
        "proxy",
        "soon",
    ]
    assert answer.headers.get_all("Server") == ["proxy"]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("not json", b"not json"),
        ("", b""),
        ({"itemsReceived": 3}, b'{"itemsReceived": 3}'),
        ([], b"[]"),
        (None, b"null"),
    ],
)
def test_body_is_text_or_json(sandbox, body, sent):
    assert scripted(sandbox, {"status": 400, "body": body}).body == sent
    assert scripted(sandbox, {"body": body}).body == sent
    assert names(sandbox) == ["a", "b", "c"]


def test_delay_waits_before_the_reply_when_the_points_are_taken(sandbox, clock):
    assert scripted(sandbox, {"delay": 30}).status == 200
    assert (clock.waits, names(sandbox)) == ([30], ["a", "b", "c"])


@pytest.mark.parametrize(("reset", "sent"), [("before", POST), ("after", POST + BODY), (True, POST + BODY)])
def test_reset_breaks_the_connection_off(sandbox, reset, sent):
    sandbox.script([{"reset": reset}])
    with connect(sandbox) as connection:
        connection.sendall(sent)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    record = sandbox.posts()[0]
    assert (record.status, record.items, record.accepted) == (None, 0 if reset == "before" else 3, 0)
    assert names(sandbox) == []


def test_a_lost_reply_is_a_closed_connection_and_the_points_are_taken(sandbox):
    sandbox.script([{"lost": True}])
    assert raw(sandbox, POST + BODY) == b""
    assert (sandbox.posts()[0].status, sandbox.posts()[0].accepted, names(sandbox)) == (None, 3, ["a", "b", "c"])


def test_dribble_sends_a_byte_at_a_time(sandbox, clock):
    answer = scripted(sandbox, {"dribble": 2})
    assert answer.json["itemsAccepted"] == 3
    assert clock.waits == [2] * len(answer.body)


def test_dribble_ends_after_so_many_bytes_in_the_middle_of_the_body(sandbox, clock):
    sandbox.script([{"dribble": {"every": 1, "most": 10}}])
    reply = raw(sandbox, POST + BODY)
    assert reply.partition(b"\r\n\r\n")[2] == b"".join(b"1\r\n%c\r\n" % each for each in b'{"itemsRec')
    assert (clock.waits, len(sandbox.rows())) == ([1] * 10, 3)


def test_hang_holds_the_connection_until_the_client_goes(sandbox):
    sandbox.script([{"hang": True}])
    with connect(sandbox) as connection:
        connection.sendall(POST + BODY)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert (sandbox.posts()[0].status, names(sandbox)) == (None, [])


@pytest.mark.parametrize("entry", [{"hang": True}, {"hang": 3600}, {"delay": 3600}, {"dribble": 3600}])
def test_close_ends_every_wait(start, entry):
    threads = set(threading.enumerate())
    sandbox = start(scriptable=True, sleep=None)
    sandbox.script([entry])
    with connect(sandbox) as connection:
        connection.sendall(POST + BODY)
        arrived(sandbox)
        sandbox.close()
        if "dribble" in entry:
            assert connection.recv(1000).endswith(b"\r\n\r\n")
        assert ended(connection)
    assert set(threading.enumerate()) == threads


def test_hang_for_seconds_then_closes(sandbox, clock):
    sandbox.script([{"hang": 20}])
    assert raw(sandbox, POST + BODY) == b""
    assert clock.waits == [20]


def test_empty_is_200_without_a_body_and_the_points_are_taken(sandbox):
    answer = scripted(sandbox, {"empty": True})
    assert (answer.status, answer.body, answer.headers["Content-Length"], len(sandbox.rows())) == (200, b"", "0", 3)


def test_html_is_a_log_in_page_and_no_point_is_taken(sandbox):
    answer = scripted(sandbox, {"html": True})
    assert (answer.status, answer.headers["Content-Type"], names(sandbox)) == (200, "text/html; charset=utf-8", [])
    assert answer.body.startswith(b"<!DOCTYPE html>")


def test_items_get_the_verdict_that_the_script_names_and_the_others_their_own(sandbox):
    sandbox.script(
        [{"items": {"0": {"status": 500, "message": "try again"}, "2": {"status": 429}, "9": {"status": 500}}}]
    )
    answer = post(sandbox, [metric("a"), metric("b"), metric("c"), changed("name", ""), metric("e")])
    assert answer.status == 206
    assert [(error["index"], error["statusCode"], error["message"]) for error in answer.json["errors"]] == [
        (0, 500, "try again"),
        (2, 429, "Too many requests"),
        (3, 400, "109: Field 'name' on type 'Envelope' is required but missing or empty. Expected: string"),
    ]
    assert names(sandbox) == ["b", "e"]


def test_items_of_python_may_have_whole_numbers_as_keys(sandbox):
    assert scripted(sandbox, {"items": {1: {"status": 503}}}).json["errors"][0]["index"] == 1


def test_items_that_are_all_sampled_out_are_206_as_the_service_does_it(sandbox):
    sampled = {"status": 206, "message": "Telemetry sampled out."}
    answer = scripted(sandbox, {"items": dict.fromkeys("012", sampled)})
    assert (answer.status, answer.reason, answer.json["itemsAccepted"]) == (206, "Telemetry sampled out.", 0)


def test_bad_index_refuses_one_item_under_an_index_that_is_not_its_own(sandbox):
    answer = scripted(sandbox, {"bad_index": 70})
    assert (answer.status, answer.json["itemsAccepted"]) == (206, 2)
    assert answer.json["errors"] == [{"index": 70, "statusCode": 500, "message": "Internal Server Error"}]
    assert names(sandbox) == ["a", "b"]


@pytest.mark.parametrize(("short", "kept"), [(1, ["a", "b"]), (3, []), (9, [])])
def test_short_leaves_items_out_without_naming_them(sandbox, short, kept):
    answer = scripted(sandbox, {"short": short})
    assert (answer.status, answer.json["itemsAccepted"], answer.json["errors"]) == (200, len(kept), [])
    assert names(sandbox) == kept


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        ({"status": 500}, 0),
        ({"status": 500, "take": True}, 3),
        ({"take": False}, 0),
        ({"html": True, "take": True}, 3),
        ({"empty": True, "take": False}, 0),
        ({"status": 400, "body": "", "take": True}, 3),
        ({"status": 503, "take": True, "items": {"0": {"status": 500}}}, 2),
    ],
)
def test_take_decides_whether_points_are_taken_whatever_the_reply_says(sandbox, entry, taken):
    scripted(sandbox, entry)
    assert (sandbox.posts()[0].accepted, len(sandbox.rows())) == (taken, taken)


def test_what_breaks_the_rules_is_not_taken_even_with_take(sandbox):
    sandbox.script([{"status": 500, "take": True}])
    post(sandbox, [metric("good"), changed("time", "fake")])
    assert names(sandbox) == ["good"]
