"""The table of what can be chosen."""

import io

from rich.console import Console

from bridge.catalog import Line, catalog, document, only, written
from bridge.cli.terminal import print_catalog
from bridge.selection import parse
from bridge.triton import EXPOSED, recorded

SELECTION = parse(
    """{"customMetrics": [
        "nv_inference_count",
        {"metric": "nv_inference_count", "mode": "rate", "name": "per_second"},
        {"metric": "nv_inference_request_success", "mode": "increase"},
        "my_gauge",
        {"query": "sum(up)", "name": "a_query"}
    ]}"""
)


def lines(present: set[str] | None) -> dict[str, Line]:
    return {line.name: line for line in catalog(SELECTION, present)}


def test_known_metrics_come_first_in_tritons_order_and_others_last_by_name() -> None:
    known = [metric.name for metric in EXPOSED] + [rule.name for rule in recorded()]

    assert [line.name for line in catalog(SELECTION, {"up", "a_metric", known[3]})] == [
        *known,
        "a_metric",
        "my_gauge",
        "up",
    ]


def test_present_is_unknown_where_prometheus_was_not_asked() -> None:
    assert {line.present for line in catalog(None, None)} == {None}


def test_present_is_what_prometheus_has() -> None:
    found = lines({"nv_cpu_utilization", "up"})

    assert {name for name, line in found.items() if line.present} == {"nv_cpu_utilization", "up"}
    assert {line.present for line in found.values()} == {True, False}


def test_selected_names_every_mode() -> None:
    found = lines(set())

    assert {name: line.selected for name, line in found.items() if line.selected} == {
        "nv_inference_count": "value, rate",
        "nv_inference_request_success": "increase",
        "my_gauge": "value",
    }


def test_a_counter_sent_as_accumulation_is_told_that_it_could_be_exact() -> None:
    found = lines(set())

    assert found["nv_inference_count"].advice == "is a counter, sent as the accumulation since its process started"
    assert found["nv_inference_request_success"].advice == ""


def test_each_line_bears_the_entry_that_sends_it_best() -> None:
    found = lines(set())

    assert found["nv_inference_count"].entry == {"metric": "nv_inference_count", "mode": "increase"}
    assert found["nv_gpu_utilization"].entry == "nv_gpu_utilization"
    assert found["nv_inference_request_summary_us"].entry == "nv_inference_request_summary_us"
    assert found["vllm:e2e_request_latency_seconds"].entry == {
        "metric": "vllm:e2e_request_latency_seconds",
        "mode": "histogram",
        "quantiles": [0.5, 0.95, 0.99],
    }


def test_a_gauge_that_accumulates_is_best_sent_as_increments() -> None:
    assert lines(set())["nv_cache_num_evictions"].entry == {"metric": "nv_cache_num_evictions", "mode": "increase"}


def test_a_glob_and_a_histogram_entry_select_what_they_mean() -> None:
    selection = parse(
        """{"customMetrics": ["nv_gpu_*", {"metric": "vllm:e2e_request_latency_seconds", "mode": "histogram"}]}"""
    )
    selected = {line.name for line in catalog(selection, None) if line.selected}

    assert selected == {
        *(known.name for known in EXPOSED if known.name.startswith("nv_gpu_")),
        "vllm:e2e_request_latency_seconds",
    }


def test_the_parts_of_a_family_are_one_line() -> None:
    present = {f"{name}_{part}" for name in ("load", "vllm:request_params_n") for part in ("bucket", "sum", "count")}
    kinds = {"load": "histogram", "vllm:request_params_n": "histogram", "gone": "counter"}
    found = {line.name: line for line in catalog(None, present, kinds) if line.present}

    assert set(found) == {"load", "vllm:request_params_n"}
    assert found["load"].entry == {"metric": "load", "mode": "histogram", "quantiles": [0.5, 0.95, 0.99]}


def test_globs_narrow_the_table() -> None:
    assert {line.name for line in only(catalog(None, {"up"}), ["up", "nv_cpu_mem*"])} == {
        "up",
        "nv_cpu_memory_total_bytes",
        "nv_cpu_memory_used_bytes",
    }


def test_the_ready_file_sends_what_is_there_and_is_a_good_one() -> None:
    found = catalog(None, {"nv_inference_count", "up"})

    assert (
        parse(written(document(found))).entries
        == parse('{"customMetrics": [{"metric": "nv_inference_count", "mode": "increase"}, "up"]}').entries
    )
    assert len(parse(written(document(catalog(None, None)))).entries) == len(EXPOSED) + len(recorded())


def test_a_glob_selects_nothing_that_an_entry_names_and_no_mode_is_told_twice() -> None:
    """Of two globs the first one sends."""
    selection = parse(
        """{"customMetrics": [
            "nv_inference_*",
            {"metric": "nv_*", "mode": "stats"},
            {"metric": "nv_inference_count", "mode": "increase", "name": "mine"},
            {"metric": "nv_inference_count", "mode": "increase", "name": "by_model", "by": ["model"]},
            {"metric": "nv_inference_first_response_histogram_ms", "mode": "histogram"}
        ]}"""
    )
    found = {line.name: line for line in catalog(selection, None)}

    assert (found["nv_inference_count"].selected, found["nv_inference_count"].advice) == ("increase", "")
    assert found["nv_inference_first_response_histogram_ms"].selected == "histogram"
    assert (found["nv_inference_exec_count"].selected, found["nv_gpu_utilization"].selected) == ("value", "stats")


def test_a_histogram_that_is_not_sent_as_one_is_told_why_it_should_be() -> None:
    kinds = {"h": "histogram"}
    (named,) = only(catalog(parse('{"customMetrics": ["h"]}'), None, kinds), ["h"])
    (of_glob,) = only(catalog(parse('{"customMetrics": ["h*"]}'), None, kinds), ["h"])

    assert named.advice == "is a histogram: no series has that name alone, so nothing is sent"
    assert of_glob.advice == "h_bucket holds the buckets of the histogram h, each sent as a row of its own"


def test_what_is_not_there_is_told_what_it_needs() -> None:
    name = "nv_inference_first_response_histogram_ms"

    assert lines(set())[name].advice == "needs --metrics-config histogram_latencies=true"
    assert lines(None)[name].advice == "needs --metrics-config histogram_latencies=true"
    assert lines(None)["nv_gpu_utilization"].advice == "needs a GPU, not in MIG mode"
    assert lines({name})[name].advice == ""


def test_a_recorded_rate_is_a_gauge_with_its_unit() -> None:
    (rule,) = (rule for rule in recorded() if rule.name == "nv_inference_count_irate")

    assert lines({rule.name})[rule.name] == Line(
        rule.name, "gauge", "inferences/s", rule.meaning, True, "", "", rule.name
    )


def test_on_a_narrow_terminal_each_metric_is_a_paragraph_below_its_whole_name() -> None:
    console = Console(width=80, file=io.StringIO())
    print_catalog([lines(set())[name] for name in ("nv_inference_request_success", "nv_gpu_utilization")], console)

    assert isinstance(console.file, io.StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "nv_inference_request_success",
        "    counter, requests · not there now · selected: increase · best: increase",
        "    requests answered, from the cache too; an error that a Python model returns",
        "    counts here",
        "nv_gpu_utilization",
        "    gauge, ratio · not there now · best: value",
        "    share of time that the GPU was busy, 0 to 1",
        "    [needs a GPU, not in MIG mode]",
    ]
