"""The file_sd documents by which BRIDGE_TRITON_TARGET, BRIDGE_SCRAPE_INTERVAL and BRIDGE_LISTEN reach Prometheus."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.instruments import JOB
from bridge.settings import describe
from examples.stack import ROOT
from tools import targets


def write(*outputs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "targets.py", *outputs]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


@given(st.integers(targets.SHORTEST_MS, targets.LONGEST_MS))
def test_an_interval_goes_with_a_time_out_that_fits_into_it(every: int) -> None:
    """Prometheus drops a target whose time-out is longer than its interval."""
    [group] = targets.document(interval=f"{every}ms")

    labels = group["labels"]
    assert isinstance(labels, dict)
    assert targets.milliseconds(labels["__scrape_interval__"]) == every
    assert targets.milliseconds(labels["__scrape_timeout__"]) == min(every, 4_000)


@given(st.tuples(*(st.none() | st.integers(0, 999) for _ in targets.UNITS_MS)).filter(any))
def test_a_duration_is_the_sum_of_its_parts(parts: tuple[int | None, ...]) -> None:
    written = "".join(
        f"{number}{unit}" for number, unit in zip(parts, targets.UNITS_MS, strict=True) if number is not None
    )

    assert targets.milliseconds(written) == sum(
        (number or 0) * size for number, size in zip(parts, targets.UNITS_MS.values(), strict=True)
    )


@pytest.mark.parametrize(("written", "expected"), [("15", 15_000), ("1.5", 1_500), ("1m30s", 90_000), ("0", 0)])
def test_a_bare_number_is_seconds(written: str, expected: int) -> None:
    assert targets.milliseconds(written) == expected


@pytest.mark.parametrize("written", ["", "s", "15 s", "1s1m", "-5s", "1e3", "fifteen", "1,5s", "1.5s"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="BRIDGE_SCRAPE_INTERVAL"):
        targets.milliseconds(written)


@pytest.mark.parametrize("written", ["999ms", "0", "30001ms", "31s", "1m", "1h"])
def test_an_interval_that_the_rules_cannot_follow_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"BRIDGE_SCRAPE_INTERVAL.*within 1s and 30s"):
        targets.document(interval=written)


@pytest.mark.parametrize("target", ["127.0.0.1:8002", "triton:8002", "triton.prod.svc:1", "[::1]:8002", "a_b-c:65535"])
def test_host_and_port_are_kept_as_they_are(target: str) -> None:
    assert targets.document(target)[0]["targets"] == [target]


@pytest.mark.parametrize(
    "target",
    [
        "triton",
        ":8002",
        "triton:",
        "triton:0",
        "triton:65536",
        "http://triton:8002",
        "triton:8002/metrics",
        "a b:1",
        "::1:8002",
        "[::1]",
        "[::1:8002",
        "[triton]:8002",
        "-a:1",
        "triton:８００２",
    ],
)
def test_what_is_not_host_and_port_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"BRIDGE_TRITON_TARGET.*host:port"):
        targets.document(target)


@given(st.integers(targets.SHORTEST_MS, targets.LONGEST_MS))
def test_the_bridge_is_scraped_as_often_as_triton(every: int) -> None:
    """The longest interval and time-out of all targets rule the cycle: this one must not change them."""
    [triton], [bridge] = targets.document(interval=f"{every}ms"), targets.bridge(interval=f"{every}ms")

    assert bridge["labels"] == {"instance": JOB, **triton["labels"]}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("0.0.0.0:9464", "127.0.0.1:9464"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("[::]:9464", "[::1]:9464"),
        ("[fd00::1]:9464", "[fd00::1]:9464"),
        ("localhost:9464", "localhost:9464"),
    ],
)
def test_the_bridge_is_scraped_where_it_can_be_reached(listen: str, address: str) -> None:
    assert targets.bridge(listen)[0]["targets"] == [address]


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:0", "127.0.0.1:", "http://127.0.0.1:9464"])
def test_where_no_bridge_can_be_reached_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="BRIDGE_LISTEN"):
        targets.bridge(listen)


def test_the_defaults_are_those_of_the_settings() -> None:
    defaults = {setting.names[0]: setting.default for setting in describe()}

    assert defaults["BRIDGE_TRITON_TARGET"] == targets.TARGET
    assert defaults["BRIDGE_SCRAPE_INTERVAL"] == targets.INTERVAL
    assert defaults["BRIDGE_LISTEN"] == targets.LISTEN


def test_the_command_writes_what_the_environment_says(tmp_path: Path) -> None:
    output = tmp_path / "new" / "triton.json"

    done = write(output, BRIDGE_TRITON_TARGET="[::1]:18002", BRIDGE_SCRAPE_INTERVAL="2s")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(output.read_text()) == targets.document("[::1]:18002", "2s")
    assert list(output.parent.iterdir()) == [output]


def test_the_command_writes_of_the_bridge_too(tmp_path: Path) -> None:
    triton, bridge = tmp_path / "triton.json", tmp_path / "bridge.json"

    done = write(triton, bridge, BRIDGE_LISTEN="0.0.0.0:9999", BRIDGE_SCRAPE_INTERVAL="2s")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(triton.read_text()) == targets.document(interval="2s")
    assert json.loads(bridge.read_text()) == targets.bridge("127.0.0.1:9999", "2s")


@pytest.mark.parametrize("outputs", [0, 3])
def test_the_command_says_how_it_is_used(outputs: int) -> None:
    done = write(*(Path(f"{number}.json") for number in range(outputs)))

    assert (done.returncode, done.stderr) == (2, "usage: targets.py TRITON.json [BRIDGE.json]\n")


def test_an_empty_setting_is_none(tmp_path: Path) -> None:
    write(tmp_path / "triton.json", BRIDGE_TRITON_TARGET="", BRIDGE_SCRAPE_INTERVAL="")

    assert json.loads((tmp_path / "triton.json").read_text()) == targets.document()


def test_a_refused_setting_is_one_line_and_leaves_the_file_alone(tmp_path: Path) -> None:
    output = tmp_path / "triton.json"
    output.write_text("as it was")

    done = write(output, BRIDGE_SCRAPE_INTERVAL="1m30s")

    assert done.returncode == 2
    assert done.stderr.startswith("BRIDGE_SCRAPE_INTERVAL: '1m30s'")
    assert done.stderr.count("\n") == 1
    assert output.read_text() == "as it was"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = write(tmp_path / "file" / "triton.json")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
