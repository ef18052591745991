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


def test_what_one_run_saw_the_next_one_knows(tmp_path: Path) -> None:
    first = Witness(tmp_path / "bridge")
    first.saw(CLOSED)
    first.saw(VALUES)

    second = Witness(tmp_path / "bridge")

    assert first.durable
    assert second.sightings == (CLOSED, VALUES)
    assert stat.S_IMODE((tmp_path / "bridge").stat().st_mode) == 0o700


def test_without_a_folder_it_lasts_as_long_as_the_process() -> None:
    witness = Witness()
    witness.saw(CLOSED)

    assert not witness.durable
    assert witness.sightings == (CLOSED,)


@pytest.mark.parametrize("obstacle", ["a file in the way", "no right to write"])
def test_a_folder_that_cannot_be_written_is_told_and_not_fatal(
    tmp_path: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path("/proc/bridge") if obstacle == "no right to write" else tmp_path / "file" / "bridge"
    (tmp_path / "file").touch()
    witness = Witness(folder)
    witness.saw(CLOSED)

    assert witness.sightings == (CLOSED,)
    assert not witness.durable
    assert "BRIDGE_STATE_DIR must be writable" in caplog.text


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"sightings": 1}', b'{"sightings": [1]}', b"\xff"])
def test_a_damaged_file_is_set_aside_and_reported(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "witness.json").write_bytes(text)
    with caplog.at_level(logging.ERROR):
        witness = Witness(tmp_path)

    assert witness.sightings == ()
    assert (tmp_path / "witness.damaged").read_bytes() == text
    assert "set aside" in caplog.text


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    for time in range(510):
        witness.sightings += (Sighting(float(time), "t", None),)
    witness.saw(CLOSED)

    assert [sighting.time for sighting in witness.sightings] == [*map(float, range(11, 510)), CLOSED.time]


def test_values_are_bounded_by_their_number(tmp_path: Path) -> None:
    many = {identity({"__name__": "c", "n": str(n)}): "1" for n in range(60_000)}
    witness = Witness(tmp_path)
    for time in range(4):
        witness.saw(Sighting(float(time), "t", many))

    assert [sighting.time for sighting in witness.sightings] == [2.0, 3.0]
