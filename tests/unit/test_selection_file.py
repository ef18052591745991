"""metrics.json is read again: what of a change is taken over, what is told of it, and how often."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.selection import SelectionFile, difference, load, parse


def text(*metrics: object) -> str:
    return json.dumps({"customMetrics": list(metrics)})


# -- ways to change a file -------------------------------------------------------------------------------------------


def write_into(file: Path, content: str) -> None:
    file.write_text(content)


def put_in_its_place(file: Path, content: str) -> None:
    """As most editors do, and every careful program."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.replace(file)


def move_away_and_write_anew(file: Path, content: str) -> None:
    """As editors do that keep a backup."""
    file.replace(file.with_name(f"{file.name}~"))
    file.write_text(content)


def swap_the_link(file: Path, content: str) -> None:
    """As Kubernetes changes a mounted ConfigMap or secret: ``metrics.json`` → ``..data/metrics.json`` → a new folder."""
    folder = file.parent
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    (version / file.name).write_text(content)
    if not file.is_symlink():
        file.unlink()
        file.symlink_to(Path("..data", file.name))
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")


WAYS = [write_into, put_in_its_place, move_away_and_write_anew, swap_the_link]


@pytest.mark.parametrize("change", WAYS)
def test_a_change_is_seen_however_the_file_is_written(tmp_path: Path, change: Callable[[Path, str], None]) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text("a"))
    file = SelectionFile(path)
    for metrics in (["b"], ["c"], ["b"]):
        change(path, text(*metrics))

        assert file.look() == parse(text(*metrics))
        assert file.look() is None
        assert [entry.name for entry in file.current.entries] == metrics


# -- what is told ----------------------------------------------------------------------------------------------------


def write_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def nothing(_: Path) -> None:
    """No file at all."""


# What may stand at the path: made by the function, and what is found wrong with it, None: it is good.
STATES: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "a": (write_bytes(text("a").encode()), None),
    "b": (write_bytes(text("b").encode()), None),
    "a, written otherwise": (write_bytes(b"\xef\xbb\xbf" + text("a").replace(" ", "\r\n").encode()), None),
    "half of b": (write_bytes(text("b")[:-1].encode()), "not JSON"),
    "empty": (write_bytes(b""), "not JSON"),
    "wrong": (write_bytes(text("a b").encode()), "cannot be the name of a metric"),
    "no text": (write_bytes(b"\xff\xfe"), "must be a UTF-8 file"),
    "gone": (nothing, "no such file"),
    "a folder": (Path.mkdir, "Is a directory"),
}


def turn_into(path: Path, state: str) -> str | None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    make, wrong = STATES[state]
    make(path)
    return wrong


@given(st.sampled_from(["a", "b"]), st.lists(st.sampled_from(sorted(STATES)), min_size=1))
def test_the_last_good_one_is_in_force_and_each_change_is_told_once(first: str, states: list[str]) -> None:
    """Whatever becomes of the file between two looks; what is there again is told again."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "metrics.json")
        turn_into(path, first)
        file, before, good = SelectionFile(path), first, first[0]
        for state in states:
            wrong, changed = turn_into(path, state), state != before
            before, good = state, good if wrong else state[0]
            try:
                told = file.look()
            except ConfigurationError as error:
                assert changed
                assert wrong
                assert wrong in str(error)
            else:
                assert not (wrong and changed)
                assert told == (load(path) if changed else None)
            assert file.current == parse(text(good))


def test_what_is_told_is_what_was_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is being written gives something else each time it is read: one look reads it once."""
    path = tmp_path / "metrics.json"
    path.write_text(text("a"))
    file = SelectionFile(path)
    contents = iter([text("b")[:-1].encode(), text("b").encode(), text("b").encode()])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(contents))

    with pytest.raises(ConfigurationError, match="not JSON"):
        file.look()
    assert file.look() == parse(text("b"))
    assert file.look() is None


def test_a_bad_change_is_told_with_all_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text("a"))
    file = SelectionFile(path)
    path.write_text(text("a b", {"metric": "c", "moed": "rate"}, {"query": "d"}))

    with pytest.raises(ConfigurationError) as caught:
        file.look()
    assert [finding.place for finding in caught.value.findings] == [
        "metrics.json: customMetrics[0]",
        "metrics.json: customMetrics[1].moed",
        "metrics.json: customMetrics[2]",
    ]


def test_a_first_reading_that_is_bad_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file — mount one there, or set BRIDGE_METRICS_FILE"):
        SelectionFile(tmp_path / "metrics.json")


# -- what differs ----------------------------------------------------------------------------------------------------

OTHERWISE = [
    {"metric": "other", "name": "m"},
    {"metric": "m", "mode": "increase"},
    {"metric": "m", "match": 'model="a"'},
    {"metric": "m", "by": ["model"], "aggregate": "sum"},
    {"metric": "m", "labels": {"add": {"team": "search"}}},
    {"query": "m", "name": "m"},
]


@pytest.mark.parametrize("entry", OTHERWISE)
def test_what_is_sent_otherwise_under_its_name_is_changed(entry: object) -> None:
    before, after = parse(text("m", "n")), parse(text("n", entry))

    assert difference(before, after) == "added: none; removed: none; changed: m"
    assert difference(after, before) == "added: none; removed: none; changed: m"


def test_labels_for_all_change_every_entry() -> None:
    before = parse(text("m", "n"))
    after = parse(json.dumps({"customMetrics": ["m", "n"], "labels": {"add": {"team": "search"}}}))

    assert difference(before, after) == "added: none; removed: none; changed: m, n"


def test_order_and_notation_are_no_difference() -> None:
    before, after = parse(text("m", "n")), parse(text({"metric": "n", "mode": "value"}, "m"))

    assert difference(before, after) == "added: none; removed: none; changed: none"


def test_each_of_two_entries_of_one_glob_counts() -> None:
    """One for series and one for histograms."""
    before, after = parse(text("m*")), parse(text("m*", {"metric": "m*", "mode": "histogram"}))

    assert difference(before, after) == "added: none; removed: none; changed: m*"


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_names_are_added_and_removed(before: set[str], after: set[str]) -> None:
    def listed(names: set[str]) -> str:
        return ", ".join(sorted(names)) or "none"

    expected = f"added: {listed(after - before)}; removed: {listed(before - after)}; changed: none"
    assert difference(parse(text(*sorted(before))), parse(text(*sorted(after)))) == expected
