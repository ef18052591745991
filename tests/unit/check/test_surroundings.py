"""What stands around the bridge: the state folder, which is looked at and left as it is, and the endpoint."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.backlog import Backlog
from bridge.check.surroundings import check_clock, check_endpoint, check_folder
from bridge.errors import Severity
from bridge.settings import load
from tests.scripted.serving import Answer, Asked, serving

KEY = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("now", "words"), [(97.5, "3 s ahead of"), (110.5, None), (120.5, None), (125.0, "5 s behind")]
)
def test_a_clock_is_wrong_only_where_a_slow_answer_does_not_explain_it(now: float, words: str | None) -> None:
    """Of 20 s between the question and the answer."""
    found = [one.problem for one in check_clock(100.5, now, 120.0)]

    assert [words is not None and words in one for one in found] == [True] * (words is not None)


def test_a_folder_that_can_be_written_or_made_is_no_finding_and_stays_as_it_is(tmp_path: Path) -> None:
    assert [*check_folder(tmp_path), *check_folder(tmp_path / "a" / "bridge")] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc/bridge", "/proc/self/status/bridge"])
def test_a_folder_that_cannot_be_written_is_a_failure(folder: str) -> None:
    """Where nobody may make files, root neither; and where a file stands in a folder's place."""
    (found,) = check_folder(Path(folder))

    assert (found.place, found.severity) == (folder, Severity.FAILURE)
    assert found.problem.startswith("cannot be written (")
    assert "BRIDGE_STATE_DIR" in found.remedy


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Backlog]:
    """What a running bridge has locked."""
    backlog = Backlog(tmp_path)
    backlog.lock()
    yield backlog
    backlog.close()


def test_a_bridge_that_runs_with_the_folder_is_a_note_and_keeps_its_lock(running: Backlog, tmp_path: Path) -> None:
    (found,) = check_folder(tmp_path)

    assert (found.problem, found.severity) == ("a triton-bridge runs with this folder now", Severity.NOTE)
    assert running.durable


def test_the_lock_of_a_bridge_that_has_ended_is_free_and_stays_so(running: Backlog, tmp_path: Path) -> None:
    running.close()

    assert list(check_folder(tmp_path)) == []
    Backlog(tmp_path).lock()


def test_an_endpoint_that_answers_is_no_finding_and_gets_no_post() -> None:
    """Any answer will do, such as a 404."""
    requests: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        requests.append(asked)
        return Answer(b"", 404)

    with serving(answer) as address:
        string = f"InstrumentationKey={KEY};IngestionEndpoint=http://{address}"
        assert list(check_endpoint(load({"APPLICATIONINSIGHTS_CONNECTION_STRING": string}))) == []

    assert [(asked.method, asked.path) for asked in requests] == [("GET", "/")]


def test_an_endpoint_that_cannot_be_reached_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        string = f"InstrumentationKey={KEY};IngestionEndpoint={endpoint}"
        (found,) = check_endpoint(load({"APPLICATIONINSIGHTS_CONNECTION_STRING": string}))

    assert (found.place.rstrip("/"), found.problem, found.severity) == (
        endpoint,
        "the ingestion endpoint cannot be reached (ConnectionError)",
        Severity.FAILURE,
    )
