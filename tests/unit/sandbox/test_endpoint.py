"""Telemetry that is posted: the shapes of all the SDKs, whole and partial acceptance, keys and tokens."""

import gzip
import json
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.sandbox import Post
from tests.unit.sandbox.telemetry import KEY, NOW, changed, event, metric, post

LINES = "\n".join(json.dumps(metric(name)) for name in ("a", "b"))


ARRAY = json.dumps([metric("a"), metric("b")])


def deflate(text):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(text.encode()) + stream.flush()


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        pytest.param("/v2.1/track", ARRAY, {"Content-Type": "application/json"}, id="Python and JavaScript OpenTelemetry"),
        pytest.param("//v2.1/track", ARRAY, {"Content-Type": "application/json"}, id="Python, endpoint ends with a slash"),
        pytest.param("/v2.1/track", LINES, {"Content-Type": "application/json"}, id=".NET OpenTelemetry"),
        pytest.param("/v2.1/track", gzip.compress(LINES.encode()), {"Content-Encoding": "gzip", "User-Agent": ""}, id="Java"),
        pytest.param(
            "/v2/track", gzip.compress(LINES.encode()),
            {"Content-Encoding": "gzip", "Content-Type": "application/x-json-stream"}, id="classic .NET and Go",
        ),
        pytest.param("/v2/track", LINES, {"Content-Type": "application/x-json-stream"}, id="early Go"),
        pytest.param("//v2/track", LINES + "\r\n", {"Content-Type": "x-json-stream"}, id="as the swagger names it"),
        pytest.param("/v2.1/track", ARRAY, {"Content-Type": "application/json; charset=utf-8"}, id="OpenCensus"),
        pytest.param("/v2.1/track", zlib.compress(ARRAY.encode()), {"Content-Encoding": "deflate"}, id="deflate"),
        pytest.param("/v2.1/track?x=1", deflate(LINES), {"Content-Encoding": "deflate", "Content-Type": "text/plain"}, id="bare deflate"),
    ],
)  # fmt: skip
def test_every_shape_that_an_sdk_sends_is_taken(sandbox, path, body, headers):
    answer = post(sandbox, body, path, **headers)
    assert (answer.status, answer.json) == (200, {"itemsReceived": 2, "itemsAccepted": 2, "appId": None, "errors": []})
    assert [row["name"] for row in sandbox.rows()] == ["a", "b"]
    assert sandbox.posts() == [
        Post(
            path=path.partition("?")[0],
            status=200,
            items=2,
            accepted=2,
            bytes=len(body),
            encoding=headers.get("Content-Encoding", "identity"),
            content_type=headers.get("Content-Type"),
            user_agent=headers.get("User-Agent"),
            at=NOW,
        )
    ]


def test_a_single_object_is_one_item(sandbox):
    assert post(sandbox, json.dumps(metric(), indent=4)).json["itemsAccepted"] == 1


def test_some_accepted_is_206_and_names_the_others_by_index(sandbox):
    old = "103: Field 'time' on type 'Envelope' is older than the allowed min date. Expected: now - 172800000ms"
    answer = post(sandbox, [metric("a"), changed("time", "2026-11-19T08:33:19Z"), event(), metric(value="1")])
    assert (answer.status, answer.reason) == (206, old)
    assert answer.json == {
        "itemsReceived": 4,
        "itemsAccepted": 2,
        "appId": None,
        "errors": [
            {"index": 1, "statusCode": 400, "message": old},
            {
                "index": 3,
                "statusCode": 400,
                "message": "106: Field 'value' on type 'DataPoint' is of incorrect type. Expected: number",
            },
        ],
    }
    assert [row["name"] for row in sandbox.rows()] == ["a"]


def test_none_accepted_is_400(sandbox):
    answer = post(sandbox, [changed("name", ""), changed("time", "fake")])
    assert (answer.status, answer.json["itemsAccepted"], len(answer.json["errors"])) == (400, 0, 2)


def test_with_keys_any_other_key_is_refused_item_by_item(start):
    sandbox = start(keys={KEY.upper()})
    answer = post(sandbox, [changed("iKey", "another"), metric(), changed("iKey", KEY.upper())])
    assert (answer.status, answer.json["errors"]) == (
        206,
        [{"index": 0, "statusCode": 400, "message": "Invalid instrumentation key"}],
    )
    assert post(sandbox, [changed("iKey", "another")]).reason == "Invalid instrumentation key"
    assert sandbox.connection_string == f"InstrumentationKey={KEY};IngestionEndpoint={sandbox.url}/"


def test_the_same_item_twice_is_two_rows(sandbox):
    post(sandbox, [metric()])
    post(sandbox, [metric()])
    assert len(sandbox.rows()) == 2
    assert sandbox.rows()[0] == sandbox.rows()[1]


@pytest.mark.parametrize(
    "body",
    [b"[NaN]", b'{"a": Infinity}', b'[{"a": 1},]', b"", b"[]", b"\xff", b"null", json.dumps([metric()]).encode()[:-1]],
)
def test_what_is_not_json_is_a_400_that_names_no_item(sandbox, body):
    answer = post(sandbox, body)
    assert (answer.status, answer.json) == (400, {"itemsReceived": 0, "itemsAccepted": 0, "appId": None, "errors": []})
    assert sandbox.rows() == []
    assert sandbox.posts()[0].reason == answer.reason


def test_nan_spoils_the_whole_post_or_on_request_its_item_alone(start):
    body = f"{json.dumps(metric('good'))}\n{json.dumps(metric(value=float('nan')))}"
    strict, lenient = start(), start(nan_per_item=True)
    assert (post(strict, body).status, strict.rows()) == (400, [])
    answer = post(lenient, body)
    assert (answer.status, answer.messages) == (206, ["SyntaxError: Unexpected token N"])
    assert [row["name"] for row in lenient.rows()] == ["good"]


@pytest.mark.parametrize(("encoding", "status"), [("br", 415), ("gzip", 400), ("deflate", 400), ("gzip, deflate", 415)])
def test_a_wrong_encoding_is_415_and_a_damaged_one_400(sandbox, encoding, status):
    answer = post(sandbox, ARRAY, Content_Encoding=encoding)
    assert (answer.status, answer.json["itemsReceived"]) == (status, 0)


def test_a_token_belongs_to_v2_1(sandbox):
    token = {"Authorization": "Bearer eyJ0"}
    assert post(sandbox, [metric()], "/v2.1/track", **token).status == 200
    assert post(sandbox, [metric()], "//v2.1/track", **token).status == 200
    for path in ("/v2/track", "//v2/track"):
        answer = post(sandbox, [metric()], path, **token)
        assert (answer.status, answer.messages) == (
            400,
            ["Incorrect API was used - v2 API does not support authentication"],
        )
    assert len(sandbox.rows()) == 2


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Basic YTpi", "eyJ0"])
def test_an_authorization_without_a_token_is_401(sandbox, value):
    answer = post(sandbox, [metric()], Authorization=value)
    assert (answer.status, answer.messages) == (401, ["Unauthorized - please provide the valid authorization token"])


BAD = [
    changed("time", "fake"), changed("name", ""), changed("iKey", ""), changed("data/baseData/metrics", []),
    metric(value="1"), metric(count=1.5), event(""), {"a": 1}, 5, None, [],
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(items=st.lists(st.sampled_from([metric("row"), event(), *BAD]), min_size=1, max_size=12), lines=st.booleans())
def test_received_is_accepted_plus_errors_and_rows_are_the_accepted_metrics(sandbox, items, lines):
    sandbox.clear()
    body = "\n".join(map(json.dumps, items)) if lines and all(isinstance(item, dict) for item in items) else items
    answer = post(sandbox, body)
    bad = [index for index, item in enumerate(items) if item in BAD]
    assert answer.status == (200 if not bad else 206 if len(bad) < len(items) else 400)
    assert [error["index"] for error in answer.json["errors"]] == bad
    assert answer.json["itemsReceived"] == len(items) == answer.json["itemsAccepted"] + len(bad)
    assert len(sandbox.rows()) == items.count(metric("row"))
    assert (sandbox.posts()[-1].items, sandbox.posts()[-1].accepted) == (len(items), len(items) - len(bad))
