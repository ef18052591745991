"""What a person and a script see of a check: the program's own output."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console

from bridge.check import Bill, Cost
from bridge.cli.terminal import print_bill
from examples import stack
from tests.scripted.program import triton_bridge
from tests.unit.check import world

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A selection with a finding of each severity but a failure."""
    folder = tmp_path_factory.mktemp("prometheus")
    wrong = ["zzz", {"metric": "wide", "mode": "histogram"}, "vllm:prompt_tokens_total", "a_gauge"]
    (folder / "metrics.json").write_text(json.dumps({"customMetrics": wrong}))
    with world.prometheus(folder, stack.tool("prometheus.sh")) as server:
        yield {
            "BRIDGE_SANDBOX": "1",
            "BRIDGE_PROMETHEUS_URL": server.url,
            "BRIDGE_METRICS_FILE": str(folder / "metrics.json"),
            "BRIDGE_INTERVAL": "2s",
            "BRIDGE_SETTLE_DELAY": "0s",
        }


def test_a_person_sees_the_worst_first_and_what_it_costs(environment: dict[str, str]) -> None:
    done = triton_bridge("check", **environment)

    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "warning", "note", "note"]
    heading, columns, *costs, counts = [line.split() for line in done.stdout.splitlines()]
    assert heading[0] == f"{environment['BRIDGE_METRICS_FILE']}:"
    assert columns[:1] == ["metric"]
    assert [(line[0], line[-4]) for line in costs] == [("a_gauge", "2"), ("vllm_prompt_tokens_total", "1"), ("in", "3")]
    assert " ".join(counts) == "1 error, 0 failures, 1 warning, 2 notes"
    assert done.returncode == 2


def test_a_script_reads_findings_and_cost(environment: dict[str, str]) -> None:
    done = triton_bridge("check", "--json", **environment)
    said = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (2, "")
    assert [one["severity"] for one in said["findings"]] == ["error", "warning", "note", "note"]
    assert said["findings"][1]["place"] == "metrics.json: customMetrics[0]"
    assert {name: cost["rows"] for name, cost in said["cost"]["metrics"].items()} == {
        "a_gauge": 2,
        "vllm_prompt_tokens_total": 1,
    }
    assert said["cost"]["total"]["points"] == 3 * 43_200


def test_a_script_reads_why_there_is_no_cost() -> None:
    done = triton_bridge("check", "--json", "--offline", BRIDGE_METRICS_FILE="/nonexistent/metrics.json")
    said = json.loads(done.stdout)

    assert done.returncode == 2
    assert [one["problem"] for one in said["findings"]] == ["no such file"]
    assert said["cost"] is None


def test_of_many_metrics_the_cheapest_are_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    costs = {f"metric_{number}": Cost(1, 1440.0, 0.001 * (60 - number)) for number in range(60)}
    print_bill(Bill(sum(costs.values(), Cost()), costs, ""))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert [line[0] for line in lines[1:21]] == [f"metric_{number}" for number in range(20)]
    assert lines[21] == ["40", "more", "40", "57,600", "475", "0.820"]
    assert lines[22][:3] == ["in", "total", "60"]


def test_the_bill_stands_whole_on_a_narrow_terminal() -> None:
    """Of its columns the name gives way: it goes on below, and no number is cut."""
    name = "nv_inference_first_response_histogram_ms_of_another_kind_p99"
    cost = Cost(20_000, 28_800_000.0, 1234.567)
    console = Console(width=80, file=io.StringIO())
    print_bill(Bill(cost, {name: cost}, ""), console)
    assert isinstance(console.file, io.StringIO)
    heading, *rows = [line.split() for line in console.file.getvalue().splitlines()]

    assert heading == ["metric", "rows", "points/day", "B/row", "GB/month"]
    assert rows[0][1:] == ["20,000", "28,800,000", str(f"{cost.row_bytes:,}"), "1234.567"]
    assert rows[0][0] + rows[1][0] == name
