"""What the bridge shows over HTTP."""

import json
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bridge.backlog import Backlog
from bridge.instruments import Instruments
from bridge.points import Batch, Condition, Obstacle, Outcome, Receipt, Rejection, Report, Settlement
from bridge.status import Board, Memory
from bridge.web import Web
from tests.scripted.clock import Clock

OUTCOMES = {**dict.fromkeys(Outcome, 0), Outcome.ACCEPTED: 2, Outcome.REJECTED: 1}
REJECTION = Rejection("m", {"model": "<b>"}, "2026-11-21T10:00:00Z", 400, "<script>alert(1)</script>")
SETTLED = Report(60.0, Settlement.SETTLED, OUTCOMES, condition=Condition.DELIVERING, rejections=(REJECTION,))
UNREAD = Report(120.0, Settlement.WAITING, {}, problems=("Prometheus cannot be reached",), obstacle=Obstacle.PROMETHEUS)


class Site:
    """A web server, its board and the clock behind both."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.backlog = Backlog(None)
        self.board = Board(
            self.clock, lambda: Memory(self.backlog.account, problems=("a file is damaged",)), self.clock
        )
        self.instruments = Instruments()
        self.instruments.follow(self.board.snapshot, limit=47 * 3600)
        registry = self.instruments.registry
        self.web = Web("127.0.0.1", 0, board=self.board, registry=registry)

    def deliver(self) -> None:
        """A cycle of three points, one of them rejected."""
        self.backlog.in_force(0.0, 60.0, "digest", "{}")
        cycle = self.backlog.begin(0.0, 60.0, [Batch.pack([b"{}"] * 3)])
        cycle.intent(0)
        cycle.verdict(0, Receipt(accepted=2, rejected=1, rejections=(REJECTION,)))
        cycle.end()
        self.board.record(SETTLED)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.web.url.rstrip("/") + path, timeout=10)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.web.close()


def test_the_page_says_the_state_and_escapes_what_came_from_outside(site: Site) -> None:
    site.deliver()

    page = site.get("/")

    assert "<h1>delivering</h1>" in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "a file is damaged" in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_status_json_holds_the_account(site: Site) -> None:
    site.deliver()

    status = json.loads(site.get("/status.json").text)

    assert status["read"] == sum(status["points"].values()) == 3
    assert status["points"]["rejected"] == 1
    assert status["due"] == status["cycles"]["settled"] == 1
    assert status["rejections"][0][1]["reason"] == REJECTION.reason
    assert (status["last_delivered"], status["problems"]) == (60.0, ["a file is damaged"])


def test_every_series_of_the_own_metrics_is_there_from_the_start(site: Site) -> None:
    families = {family.name: family for family in text_string_to_metric_families(site.get("/metrics").text)}

    outcomes = {
        s.labels["outcome"]: s.value for s in families["triton_bridge_points"].samples if s.name.endswith("_total")
    }
    assert outcomes == {outcome.value: 0.0 for outcome in Outcome if outcome is not Outcome.WAITING}
    assert {
        "triton_bridge_backlog_cycles",
        "triton_bridge_waiting_points",
        "triton_bridge_last_delivered_timestamp_seconds",
    } <= set(families)


def test_other_paths_and_methods_are_refused(site: Site) -> None:
    assert site.get("/etc/passwd").status_code == 404
    assert requests.post(site.web.url, timeout=10).status_code == 501
