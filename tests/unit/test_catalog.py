"""The table of what can be chosen."""

from bridge.catalog import Line, catalog
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


def test_a_counter_sent_as_accumulation_is_told_the_exact_form() -> None:
    found = lines(set())

    assert (
        found["nv_inference_count"].advice
        == 'sends the accumulation; exact: {"metric": "nv_inference_count", "mode": "increase"}'
    )
    assert found["nv_inference_request_success"].advice == ""


def test_what_is_not_there_is_told_its_flag() -> None:
    name = "nv_inference_first_response_histogram_ms"

    assert lines(set())[name].advice == "turned on by --metrics-config histogram_latencies=true"
    assert lines(None)[name].advice == "turned on by --metrics-config histogram_latencies=true"
    assert lines({name})[name].advice == ""


def test_a_recorded_rate_is_a_gauge_with_its_unit() -> None:
    (rule,) = (rule for rule in recorded() if rule.name == "nv_inference_count_irate")

    assert lines({rule.name})[rule.name] == Line(rule.name, "gauge", "inferences/s", rule.meaning, True, "", "")
