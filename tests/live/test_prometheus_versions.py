"""Prometheus 2 and 3 read a scrape and a range differently; what the bridge sends is the same."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import stack
from tests.scripted.program import triton_bridge
from tests.scripted.serving import Answer, serving

pytestmark = pytest.mark.live

HOUR = 3600
BUCKETS = {"0.5", "1", "100", "2.25", "+Inf"}
EXPOSITION = "\n".join(
    [
        "# TYPE h histogram",
        *(f'h_bucket{{le="{bound}"}} 7' for bound in sorted(BUCKETS)),
        "h_sum 1",
        "h_count 7",
        "# TYPE s summary",
        's{quantile="1"} 3',
        "s_sum 1",
        "s_count 7\n",
    ]
)


@pytest.fixture
def target() -> Iterator[str]:
    """host:port of an exposition with whole numbers among its bounds, which Triton writes without a fraction."""
    with serving(lambda _: Answer(EXPOSITION.encode())) as address:
        yield address


def test_an_upgrade_begins_no_series_anew(tmp_path: Path, target: str, prometheis: dict[str, Path | str]) -> None:
    """Prometheus 3 makes ``le="1.0"`` of ``le="1"``; a bucket that begins anew would be counted from zero once more."""
    three = prometheis["3"]
    if isinstance(three, str):
        pytest.skip(three)

    for folder in (prometheis["own"], three):
        with stack.prometheus(tmp_path, targets=[target], scrape_interval="1s", folder=folder) as prometheus:
            start = time.time()
            scraped = f"timestamp(h_count) > {start}"
            stack.wait(lambda: prometheus.query(scraped) != [], "no scrape", prometheus)  # noqa: B023 — called at once
            series = prometheus.api("series", **{"match[]": '{__name__=~"h_bucket|s"}'})
            [count] = prometheus.api("query", query="h_count[1h]")["result"]

    assert count["values"][0][0] < start, "the data of the one before is not read"
    assert sorted(labels.get("le") or labels["quantile"] for labels in series) == sorted([*BUCKETS, "1"])


def test_a_sample_at_an_edge_is_counted_once(tmp_path: Path, prometheus_folder: Path) -> None:
    """Prometheus 2 takes the sample at the left edge of a range, 3 leaves it out."""
    # The hour under way may end while this runs: the next one holds the same.
    begin = int(time.time()) // HOUR * HOUR - HOUR
    hours = list(enumerate(range(begin, begin + 3 * HOUR, HOUR)))
    written = {
        "up": [(1, f"{hour - 10}") for _, hour in hours],
        # 7 an hour: 4 by its very end, 1 in the millisecond after, 2 at its half.
        "at_the_edge": [
            (100 + 7 * turn + gained, at)
            for turn, hour in hours
            for gained, at in ((4, f"{hour}"), (5, f"{hour}.001"), (7, f"{hour + HOUR // 2}"))
        ],
        # The sample before the interval is at the left edge of what is asked for: interval, two scrapes and 1 s.
        "far_before": [(100 + 7 * turn, f"{hour - 31}") for turn, hour in hours],
    }
    samples = tmp_path / "samples"
    samples.write_text(
        "".join(
            f'{name}{{job="triton",instance="t:1"}} {value} {at}\n'
            for name, values in written.items()
            for value, at in values
        )
        + "# EOF\n"
    )
    promtool = [prometheus_folder / "promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*promtool, samples, tmp_path / "tsdb"], check=True, capture_output=True)
    selection = tmp_path / "metrics.json"
    names = ["at_the_edge", "far_before"]
    selection.write_text(json.dumps({"customMetrics": [{"metric": name, "mode": "increase"} for name in names]}))

    with stack.prometheus(tmp_path, targets=[], folder=prometheus_folder) as prometheus:
        done = triton_bridge(
            "once",
            "--dry-run",
            BRIDGE_PROMETHEUS_URL=prometheus.url,
            BRIDGE_METRICS_FILE=str(selection),
            BRIDGE_STATE_DIR=str(tmp_path),
            BRIDGE_INTERVAL="1h",
        )

    found = [json.loads(line)["data"]["baseData"]["metrics"][0] for line in done.stdout.splitlines()]
    assert {metric["name"]: metric["value"] for metric in found} == dict.fromkeys(names, 7)
