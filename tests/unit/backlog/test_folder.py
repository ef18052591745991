"""One process writes to the folder, others only read; where the disk says no, delivery goes on."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.backlog import Backlog
from bridge.backlog.files import OsFiles
from bridge.errors import ConfigurationError
from bridge.points import Batch, Outcome, Receipt, Settlement

BATCH = Batch.pack([b"{}"])
HOLDER = """
import sys, time
from pathlib import Path
from bridge.backlog import Backlog
backlog = Backlog(Path(sys.argv[1]))
backlog.lock()
backlog.in_force(600, 60, "d", "t")
print("locked", flush=True)
time.sleep(600)
"""


def started(folder: Path | None) -> Backlog:
    backlog = Backlog(folder, clock=lambda: 600.0)
    backlog.lock()
    backlog.in_force(600, 60, "digest", "text")
    return backlog


def work(backlog: Backlog, time: float) -> Settlement:
    cycle = backlog.begin(time - 60, time, [BATCH])
    cycle.intent(0)
    cycle.verdict(0, Receipt(accepted=1))
    return cycle.end()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(ConfigurationError) as caught:
            Backlog(tmp_path).lock()
        holder.kill()
    (finding,) = caught.value.findings

    assert str(tmp_path) == finding.place
    assert finding.problem == "another triton-bridge works with this folder"
    assert "BRIDGE_STATE_DIR" in finding.remedy
    assert started(tmp_path).durable, "the kernel gives the lock back"


def test_who_is_refused_changes_nothing_and_may_try_again(tmp_path: Path) -> None:
    first = started(tmp_path)
    work(first, 660)
    before = content(tmp_path)
    second = Backlog(tmp_path, clock=lambda: 720.0)

    for _ in range(2):
        with pytest.raises(ConfigurationError):
            second.lock()
        assert not second.durable
        assert (content(tmp_path), second.account) == (before, first.account)
    work(first, 720)
    first.close()
    second.lock()

    assert (second.durable, second.repairable, second.account) == (True, True, first.account)


def test_a_backlog_that_is_closed_lets_another_write(tmp_path: Path) -> None:
    first = started(tmp_path)
    first.close()

    assert started(tmp_path).durable
    before = content(tmp_path)
    work(first, 660)
    assert content(tmp_path) == before, "and writes no more itself"


def test_a_reader_needs_no_lock_and_changes_nothing(tmp_path: Path) -> None:
    writer = started(tmp_path)
    work(writer, 660)
    before = content(tmp_path)

    reader = Backlog(tmp_path)
    assert reader.account == writer.account
    reader.in_force(700, 60, "other", "text")
    assert work(reader, 720) is Settlement.SETTLED

    assert reader.account.points[Outcome.ACCEPTED] == 2
    assert (reader.durable, reader.repairable, reader.trouble) == (False, False, "")
    assert content(tmp_path) == before


def test_a_reader_tells_of_a_damaged_batch_and_leaves_it_where_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cycle = started(tmp_path).begin(540, 600, [BATCH, BATCH])
    cycle.intent(0)
    cycle.verdict(0, Receipt(accepted=1))
    cycle.end()
    (file,) = tmp_path.glob("*.gz")
    file.write_bytes(b"?")
    before = content(tmp_path)

    assert list(Backlog(tmp_path).leftovers()) == []
    assert content(tmp_path) == before
    assert "set aside" not in caplog.text


class Renewing(OsFiles):
    """A disk on which another process renews its journal twice before the first look at one of them, so often."""

    def __init__(self, writer: Backlog, times: int) -> None:
        self.writer = writer
        self.times = times

    def read(self, path: Path) -> bytes:
        if self.times and path.name.startswith("journal"):
            self.times -= 1
            for _ in range(2):
                minute = self.writer.account.due + 1
                self.writer.settle(540 + 60 * minute, 600 + 60 * minute, Settlement.SETTLED, {})
        return super().read(path)


@pytest.mark.parametrize("times", [1, 5])
def test_a_reader_is_not_misled_by_a_journal_that_is_renewed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    writer = started(tmp_path)
    monkeypatch.setattr("bridge.backlog.store._EVENTS_SIZE", 1)

    reader = Backlog(tmp_path, files=Renewing(writer, times))

    assert (reader.problems, reader.account) == ((), writer.account)
    assert reader.account.due >= 2


def test_a_journal_that_is_listed_and_not_there_is_told_as_damaged(tmp_path: Path) -> None:
    """It ends the search."""
    (tmp_path / "journal-7").symlink_to(tmp_path / "nowhere")

    assert "no journal" in Backlog(tmp_path).problems[0]


def test_a_reader_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    reader = Backlog(tmp_path / "none")

    assert (reader.account.origin, reader.account.due, reader.problems) == (None, 0, ())
    assert not (tmp_path / "none").exists()


def test_without_a_folder_it_lasts_as_long_as_the_process() -> None:
    backlog = started(None)

    assert work(backlog, 660) is Settlement.SETTLED
    assert (backlog.durable, backlog.trouble) == (False, "")
    backlog.begin(660, 720, [BATCH, BATCH]).verdict(0, Receipt(accepted=1))
    backlog.close()


def test_the_folder_is_for_its_user_alone_and_proved_writable(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "bridge"

    assert started(folder).durable
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("obstacle", ["a file in the way", "no right to write"])
def test_a_folder_that_cannot_be_written_is_told_and_not_fatal(tmp_path: Path, obstacle: str) -> None:
    (tmp_path / "file").touch()
    folder = Path("/proc/bridge") if obstacle == "no right to write" else tmp_path / "file" / "bridge"
    backlog = started(folder)

    assert work(backlog, 660) is Settlement.SETTLED
    assert not backlog.durable
    assert str(folder) in backlog.trouble
    assert "make BRIDGE_STATE_DIR writable" in backlog.trouble


def test_a_folder_that_is_taken_away_is_made_again_with_all_that_is_known(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    backlog = started(folder)
    work(backlog, 660)
    shutil.rmtree(folder)

    work(backlog, 720)

    assert backlog.durable
    assert Backlog(folder).account == backlog.account


def test_a_folder_that_knows_no_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)

    assert started(tmp_path).durable


def test_the_disk_holds_two_journals_at_most_and_they_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.backlog.store._EVENTS_SIZE", 20_000)
    backlog = started(tmp_path)
    for minute in range(500):
        work(backlog, 660 + 60 * minute)

    sizes = {name: len(text) for name, text in content(tmp_path).items()}

    assert sorted(name.partition("-")[0] for name in sizes) == ["journal", "journal", "lock", "memory"]
    assert sum(sizes.values()) < 100_000
    again = Backlog(tmp_path)
    assert again.account == backlog.account


def test_the_real_disk_does_what_the_protocol_says(tmp_path: Path) -> None:
    files, path = OsFiles(), tmp_path / "a"
    files.write(path, b"0123456789")
    files.overwrite(path, b"abc")
    files.append(path, b"xyz", sync=True)
    files.append(path, b"!", sync=False)
    files.rename(path, tmp_path / "b")
    files.sync_folder(tmp_path)

    assert (files.names(tmp_path), files.read(tmp_path / "b")) == (["b"], b"abc3456789xyz!")
    with pytest.raises(FileNotFoundError):
        files.append(path, b"x", sync=True)
    files.unlink(tmp_path / "b")
    assert files.names(tmp_path) == []
