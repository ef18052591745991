"""What one run saw and counted is known to the next, unless the disk says no; nothing that is damaged is fatal."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from bridge.points import Sighting, identity
from bridge.witness import Witness

CLOSED = Sighting(5.0, "127.0.0.1:8002", None)
VALUES = Sighting(9.5, "127.0.0.1:8002", {identity({"__name__": "c", "model": 'a "b"'}): "1e+22"})


def test_a_run_that_closed_its_account_is_gone_on_from(tmp_path: Path) -> None:
    first = Witness(tmp_path / "bridge")
    assert first.resume() is None
    first.saw(CLOSED)
    first.saw(VALUES)
    first.count_to(9.5)

    second = Witness(tmp_path / "bridge")

    assert second.sightings == (CLOSED, VALUES)
    assert second.resume() == 9.5
    assert stat.S_IMODE((tmp_path / "bridge").stat().st_mode) == 0o700


def test_a_run_that_was_killed_is_not(tmp_path: Path) -> None:
    """What it posted after the count before is not known here."""
    Witness(tmp_path).count_to(9.5)
    Witness(tmp_path).resume()

    third = Witness(tmp_path)

    assert third.resume() is None
    assert third.begin(0.0, 60.0) == 9.5, "that interval still begins where the first run ended"


def test_an_interval_begins_after_what_is_counted_inside_it() -> None:
    witness = Witness()
    for time in (30.0, 95.0, 110.0):
        witness.count_to(time)

    assert [witness.begin(start, start + 60) for start in (0.0, 60.0, 110.0, 120.0)] == [30.0, 110.0, 110.0, 120.0]


def test_without_a_folder_it_lasts_as_long_as_the_process() -> None:
    witness = Witness()
    witness.count_to(9.5)

    assert not witness.durable
    assert witness.counted == (9.5,)


@pytest.mark.parametrize("obstacle", ["a file in the way", "no right to write"])
def test_a_folder_that_cannot_be_written_is_told_and_not_fatal(
    tmp_path: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path("/proc/bridge") if obstacle == "no right to write" else tmp_path / "file" / "bridge"
    (tmp_path / "file").touch()
    witness = Witness(folder)

    assert witness.resume() is None
    assert not witness.durable
    assert "BRIDGE_STATE_DIR must be writable" in caplog.text


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"sightings": []}', b'{"sightings": [1], "counted": [], "closed": true}', b"\xff"]
)
def test_a_damaged_file_is_set_aside_and_reported(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "witness.json").write_bytes(text)
    with caplog.at_level(logging.ERROR):
        witness = Witness(tmp_path)

    assert witness.resume() is None
    assert (tmp_path / "witness.damaged").read_bytes() == text
    assert "set aside" in caplog.text
    assert witness.durable


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    for time in range(50):
        witness.saw(Sighting(float(time), "t", None))
        witness.count_to(float(time))

    assert [sighting.time for sighting in witness.sightings] == [float(time) for time in range(30, 50)]
    assert witness.counted == tuple(float(time) for time in range(30, 50))
