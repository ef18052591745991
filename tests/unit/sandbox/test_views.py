"""What can be asked for besides posting: rows, posts, health, and the page for a person."""

import re
from html.parser import HTMLParser

import pytest

from tests.unit.sandbox.telemetry import changed, metric, post, request


def get(sandbox, path):
    return request(sandbox, "GET", path)


@pytest.fixture
def filled(sandbox):
    for second, name in enumerate(["a", "b", "a", "c"]):
        post(sandbox, [changed("time", f"2026-11-21T08:33:0{second}.5Z", metric(name))])
    return sandbox


def test_rows_come_oldest_first_as_json(filled):
    answer = get(filled, "/_rows")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert answer.json == filled.rows()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "abac"),
        ("name=a", "aa"),
        ("name=", ""),
        ("since=2026-11-21T08:33:01Z", "bac"),
        ("since=2026-11-21T08:33:01.5Z", "bac"),
        ("since=2026-11-21T08:33:01.50001Z", "ac"),
        ("limit=2", "ac"),
        ("limit=0", ""),
        ("limit=99", "abac"),
        ("name=a&since=2026-11-21T08:33:00Z&limit=1", "a"),
    ],
)
def test_rows_can_be_asked_for_by_name_by_time_and_by_number(filled, query, names):
    assert "".join(row["name"] for row in get(filled, f"/_rows?{query}").json) == names


def test_wrong_filters_are_400_with_place_and_remedy(sandbox):
    answer = get(sandbox, "/_rows?nam=a&since=today&limit=-1")
    assert answer.status == 400
    assert answer.body.decode().splitlines() == [
        "/_rows?nam: unknown filter — one of name, since, limit",
        "/_rows?since: is not a time — write 2026-01-31T12:00:00Z",
        "/_rows?limit: is not a whole number — write limit=100",
    ]


def test_rows_say_how_many_are_no_longer_kept(start):
    sandbox = start(max_rows=1)
    post(sandbox, [metric(), metric()])
    assert get(sandbox, "/_rows").headers["X-Rows-Dropped"] == "1"


def test_delete_forgets_rows_and_posts(filled):
    assert request(filled, "DELETE", "/_rows").status == 204
    assert (filled.rows(), filled.posts()) == ([], [])


def test_posts_come_as_json(filled):
    assert [(each["path"], each["status"], each["accepted"]) for each in get(filled, "/_posts").json] == [
        ("/v2.1/track", 200, 1)
    ] * 4


def test_health_says_how_much_is_held(filled):
    filled.script([{"status": 503, "times": 2}])
    assert get(filled, "/healthz").json == {"status": "ok", "posts": 4, "rows": 4, "dropped_rows": 0, "replies_left": 2}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET"),
        ("POST", "/_rows", "GET, DELETE"),
        ("DELETE", "/_posts", "GET"),
        ("GET", "/_script", "POST"),
        ("PUT", "/healthz", "GET"),
    ],
)
def test_another_method_is_405(sandbox, method, path, allowed):
    answer = request(sandbox, method, path, b"")
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_head_is_get_without_the_body(filled):
    answer = request(filled, "HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")


class Page(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_the_newest_rows_first(filled):
    answer = get(filled, "/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    texts = Page(answer.body.decode()).texts
    assert [text for text in texts if text in "abc"] == ["c", "a", "b", "a"]
    assert "model=bert" in texts
    assert "4 rows from 4 posts; here the newest 4. As JSON: /_rows, /_posts." in texts


def test_the_page_is_bounded_and_says_what_is_not_on_it(start):
    sandbox = start(max_rows=300)
    post(sandbox, [metric()] * 301)
    page = Page(get(sandbox, "/").body.decode())
    assert [tag for tag, _ in page.tags].count("tr") == 201
    assert any(
        "300 rows from 1 posts; here the newest 200. 1 older ones are no longer kept." in text for text in page.texts
    )


def test_the_page_of_an_empty_sandbox_is_there_too(sandbox):
    assert "0 rows from 0 posts; here the newest 0." in get(sandbox, "/").body.decode()


def test_what_was_sent_cannot_become_part_of_the_page(sandbox):
    evil = "<script>alert(1)</script>&amp;\"'{x}"
    item = changed("tags/ai.cloud.role", evil, metric(evil))
    post(sandbox, [changed("data/baseData/properties", {evil: evil}, item)])
    page = Page(get(sandbox, "/").body.decode())
    assert [tag for tag, _ in page.tags].count("script") == 0
    assert [page.texts.count(text) for text in (evil, f"{evil}={evil}")] == [2, 1]


def test_the_page_has_no_scripts_and_needs_nothing_from_elsewhere(filled):
    answer = get(filled, "/")
    tags = Page(answer.body.decode()).tags
    assert {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert [
        name for _, attributes in tags for name in attributes if name in ("src", "href") or name.startswith("on")
    ] == []
    assert not re.search(rb"https?://|@import|url\(", answer.body)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
