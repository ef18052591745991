"""Files that were damaged are set aside and reported, never fatal; what they held is known from others, or told as lost."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.backlog import Backlog
from bridge.points import Batch, Outcome, Receipt, Settlement
from tests.unit.backlog.disk import File
from tests.unit.backlog.test_crash import check_the_end
from tests.unit.backlog.world import FOLDER, INTERVAL, World


def world_with_two_journals(seed: int) -> World:
    """A process has ended in good order, and left a journal and the one before."""
    world = World(seed)
    world.start()
    world.live(4)
    world.backlog.close()
    world.start()
    world.live(6)
    world.backlog.close()
    world.disk.time = world.now
    return world


def journals(world: World) -> list[str]:
    return sorted((name for name in world.disk.files if name.startswith("journal-")), key=lambda name: int(name[8:]))


def damage(file: File, first: int, last: int, seed: int) -> None:
    """Change some bits of each byte in that range."""
    noise = random.Random(seed)
    damaged = bytes(byte ^ noise.randint(1, 255) for byte in file.data[first:last])
    file.data = file.data[:first] + damaged + file.data[last:]


def batches_lost(world: World) -> bool:
    """Whether the account tells of batches that could not be read."""
    return any(rejection.metric == "(a batch)" for _, rejection in world.backlog.account.rejections)


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_ledger_is_made_again_from_the_journal_before_it(seed: int) -> None:
    world = world_with_two_journals(seed)
    newest = journals(world)[-1]
    before = Backlog(FOLDER, files=world.disk).account
    damage(world.disk.files[newest], seed, seed + 1, seed)

    world.start()

    assert (world.backlog.account, world.backlog.account.unknown) == (before, ())
    assert world.backlog.problems == (f"{FOLDER / newest} is damaged",)
    assert f"{newest}.damaged" in world.disk.files
    assert world.backlog.durable


def test_a_damaged_journal_is_never_confused_with_the_one_that_takes_its_place() -> None:
    """It had no event yet, so the number of the next one is its own."""
    world = world_with_two_journals(0)
    newest = journals(world)[-1]
    before = Backlog(FOLDER, files=world.disk).account
    number = Backlog(FOLDER, files=world.disk)._books.ledger.number + 1
    world.disk.files[f"journal-{number}"] = File(b"?")

    world.start()

    assert world.disk.files[f"journal-{number}.damaged"].data == b"?"
    assert (world.backlog.account, Backlog(FOLDER, files=world.disk).account) == (before, before)
    assert newest in world.disk.files


@pytest.mark.parametrize("seed", range(10))
def test_without_any_ledger_the_account_begins_anew(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    world = world_with_two_journals(seed)
    names = journals(world)
    batches = [name for name in world.disk.files if name.endswith(".gz")]
    for name in names:
        damage(world.disk.files[name], 0, 40, seed)
    written, world.now = world.now, world.now + 10 * INTERVAL

    world.start()

    account = world.backlog.account
    assert (account.origin, account.due, account.read) == (world.now, 0, 0)
    assert account.unknown == ((written, world.now),)
    assert (
        "triton-bridge backfill --start 1970-01-01T00:20:00Z --end 1970-01-01T00:30:00Z" in world.backlog.problems[-1]
    )
    assert all(problem in caplog.text for problem in world.backlog.problems)
    assert {f"{name}.damaged" for name in (*names, *batches)} <= set(world.disk.files)
    assert world.backlog.durable
    assert world.backlog.gap(world.now + INTERVAL), "it goes on"


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_damaged_the_account_adds_up_and_what_is_missing_is_told(data: st.DataObject) -> None:
    """But for the end of the newest journal: what is missing there was never written, as far as anybody can tell."""
    world = world_with_two_journals(data.draw(st.integers(0, 50), label="seed"))
    name = data.draw(st.sampled_from(sorted(world.disk.files)), label="file")
    file = world.disk.files[name]
    end = file.data.rstrip(b"\n").rfind(b"\n") if name == journals(world)[-1] else len(file.data)
    first = data.draw(st.integers(0, max(end - 1, 0)), label="first")
    damage(file, first, min(first + data.draw(st.integers(1, 300), label="bytes"), end), first)
    world.accounts.clear()
    world.exact = False

    world.start()
    problems, unknown = world.backlog.problems, world.backlog.account.unknown
    world.now += 2 * INTERVAL
    world.mend()

    account = world.backlog.account
    lost = batches_lost(world)
    assert world.backlog.durable
    assert (account.cycles[Settlement.WAITING], sum(account.waiting.values())) == (0, 0)
    assert lost or world.missing(unknown) == []
    if not problems and not lost:
        check_the_end(world)


def test_a_ledger_that_cannot_be_made_again_is_not_guessed() -> None:
    """The journal before it lacks what was done while the disk was full."""
    world = World(3)
    world.start()
    world.live(1)
    world.disk.fails = lambda kind: errno.ENOSPC if kind == "write" else None
    world.live(2)
    world.disk.fails = lambda _: None
    world.live(1)
    assert world.backlog.durable
    newest = journals(world)[-1]
    damage(world.disk.files[newest], 0, 1, 0)
    world.disk.files["memory"].data = b""
    world.exact = False
    world.accounts.clear()

    world.start()
    unknown = world.backlog.account.unknown
    world.mend()

    assert unknown == ((660.0, 840.0),)
    assert world.repeated() <= world.service.lost
    assert world.missing(unknown) == []


def test_a_line_that_was_damaged_in_the_middle_costs_a_repeated_batch_or_a_stretch_that_is_told() -> None:
    """Each line of the first journal that there ever was, but the first and the last."""
    world = World(0)
    world.start()
    world.live(4)
    (newest,) = journals(world)
    lines = world.disk.files[newest].data.splitlines(keepends=True)
    last = next(number for number, line in enumerate(lines) if b",780000,840000," in line)

    for number in range(1, len(lines) - 1):
        world = World(0)
        world.start()
        world.live(4)
        world.disk.files[newest].data = b"".join((*lines[:number], b"?", *lines[number:]))
        world.accounts.clear()
        world.exact = False
        world.start()
        problems, unknown = world.backlog.problems, world.backlog.account.unknown
        world.now += INTERVAL
        world.mend()

        assert problems[0] == f"{FOLDER / newest} is damaged"
        assert f"{newest}.damaged" in world.disk.files
        assert unknown or number > last
        assert batches_lost(world) or world.missing(unknown) == []
        repeated = world.repeated() - world.service.lost
        assert len({time for _, _, time in repeated}) <= 1, "the cycle that the line told of"


@settings(max_examples=60)
@given(st.integers(0, 50), st.floats(0, 1))
def test_a_journal_that_was_cut_short_is_read_as_far_as_it_goes(seed: int, part: float) -> None:
    world = world_with_two_journals(seed)
    file = world.disk.files[journals(world)[-1]]
    file.data = file.data[: int(len(file.data) * part)]
    world.accounts.clear()
    world.exact = False

    world.start()
    world.mend()

    assert batches_lost(world) or world.missing() == []


def test_a_batch_that_was_damaged_is_told_as_rejected(tmp_path: Path) -> None:
    batches = [Batch.pack([b"{}"]), Batch.pack([b"{}", b"{}"]), Batch.pack([b"{}", b"{}", b"{}"])]
    backlog = Backlog(tmp_path, clock=lambda: 600.0)
    backlog.lock()
    backlog.in_force(600, 60, "digest", "text")
    cycle = backlog.begin(600, 660, batches)
    cycle.intent(0)
    cycle.verdict(0, Receipt(accepted=1))
    assert cycle.end() is Settlement.WAITING
    first, second = sorted(tmp_path.glob("*.gz"))
    first.write_bytes(b"x")

    (left,) = backlog.leftovers()

    assert [left.batch(number) for number in left.waiting] == [batches[2]]
    account = backlog.account
    assert (account.points[Outcome.REJECTED], account.waiting[Outcome.WAITING]) == (2, 3)
    assert account.rejections[0][1].reason == f"the file {first.name} is damaged or gone"
    assert (tmp_path / f"{first.name}.damaged").read_bytes() == b"x"

    second.unlink()
    assert list(backlog.leftovers()) == [], "a file that is gone cannot be posted either"
    assert backlog.account.cycles[Settlement.SETTLED] == 1
