"""What the probes say, and what of: whether a restart helps, and whether the bridge can do its work."""

import json
from collections.abc import Iterator

import pytest
import requests
from prometheus_client import CollectorRegistry

from bridge.backlog import Backlog
from bridge.points import Condition, Obstacle, Outcome, Report, Settlement
from bridge.status import Board, Memory
from bridge.web import Web
from tests.scripted.clock import Clock

DELIVERED = Report(60.0, Settlement.SETTLED, {Outcome.ACCEPTED: 1}, condition=Condition.DELIVERING)
UNREAD = Report(
    120.0, Settlement.WAITING, {}, problems=("Prometheus cannot be reached: refused",), obstacle=Obstacle.PROMETHEUS
)
UNREADABLE = Report(120.0, Settlement.WAITING, {}, problems=("mode: unknown",), obstacle=Obstacle.SELECTION)
JSON = {"Accept": "application/json"}


def posted(condition: Condition) -> Report:
    return Report(120.0, Settlement.WAITING, {Outcome.WAITING: 1}, problems=("Azure says no",), condition=condition)


class Site:
    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        backlog = Backlog(None)
        self.board = Board(self.clock, lambda: Memory(backlog.account), self.clock)
        self.web = Web("127.0.0.1", 0, board=self.board, registry=CollectorRegistry())

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.web.url}{path}", headers=headers, timeout=10)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.web.close()


def test_liveness_is_that_the_loop_moves_whatever_azure_and_prometheus_do(site: Site) -> None:
    for report in (UNREAD, posted(Condition.MISCONFIGURED), posted(Condition.UNREACHABLE)):
        site.board.record(report)
        assert site.get("livez").status_code == 200

    site.clock.sleep(3 * 60 + 31)
    assert site.get("livez").status_code == 503

    site.board.turned()
    assert site.get("livez").status_code == 200


@pytest.mark.parametrize(
    ("report", "ready"),
    [
        (None, False),
        (DELIVERED, True),
        (UNREAD, False),
        (UNREADABLE, False),
        *((posted(condition), condition is not Condition.MISCONFIGURED) for condition in Condition),
    ],
)
def test_readiness_is_that_the_bridge_is_configured_and_prometheus_answers(
    site: Site, report: Report | None, ready: bool
) -> None:
    if report:
        site.board.record(report)

    assert site.get("readyz").status_code == (200 if ready else 503)


@pytest.mark.parametrize(
    ("report", "reason", "remedy"),
    [
        (None, "the first cycle is not done yet", "wait an interval"),
        (UNREAD, "Prometheus cannot be reached: refused", "BRIDGE_PROMETHEUS_URL"),
        (UNREADABLE, "mode: unknown", "start that one until nothing waits"),
        (posted(Condition.MISCONFIGURED), "Azure says no", "look at the connection string"),
    ],
)
def test_what_is_not_ready_says_why_and_what_to_do(site: Site, report: Report | None, reason: str, remedy: str) -> None:
    if report:
        site.board.record(report)

    (line,) = site.get("readyz").text.splitlines()
    assert reason in line
    assert remedy in line


def test_what_does_not_live_says_what_to_do(site: Site) -> None:
    site.clock.sleep(250)

    said = "the loop has made no progress for 250 s: start the bridge again, and please report it\n"
    assert site.get("livez").text == said


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html, Application/JSON;q=0.9", "application/json"),
        ("*/*", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
    ],
)
def test_json_is_given_to_those_who_ask_for_it(site: Site, accept: str, kind: str) -> None:
    assert site.get("livez", Accept=accept).headers["Content-Type"] == kind


@pytest.mark.parametrize("path", ["livez", "readyz"])
def test_json_and_text_say_the_same(site: Site, path: str) -> None:
    for report in (None, DELIVERED, UNREAD):
        if report:
            site.board.record(report)
        text, document = site.get(path), site.get(path, **JSON)
        said = json.loads(document.text)
        assert said == {"ok": text.status_code == 200, "reasons": text.text.splitlines()}
        assert document.status_code == text.status_code
