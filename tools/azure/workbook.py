"""Takes the queries of the workbook, gives the workbook: parameters on top, then a heading and charts for each section.

The form is Azure Workbooks' (github.com/microsoft/Application-Insights-Workbooks, schema/workbook.json). The numbers
are its enumerations: items (1 text, 3 query, 9 parameters), parameters (2 choice, 4 time), size (0 medium), formatter
(8 heat map).
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from tools.azure.files import query

_SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
_OF_APPLICATION_INSIGHTS = {"queryType": 0, "resourceType": "microsoft.insights/components"}
_IN_CHOSEN_TIME = {"timeContext": {"durationMs": 0}, "timeContextFromParameter": "TimeRange"}
_HOUR_MS = 3_600_000
_TIMES_MS = [_HOUR_MS // 4, *(_HOUR_MS * hours for hours in (1, 4, 12, 24, 48, 168, 720))]
_EVERYTHING = {"additionalResourceOptions": ["value::all"], "selectAllValue": "*", "showDefault": False}


class Chart(NamedTuple):
    """A chart of ``queries/workbook/NAME.kql``; ``needs`` is what the selection must hold for it, ``width`` in percent."""

    name: str
    title: str
    needs: str
    kind: str = "timechart"
    width: int = 50


_INCREASES = "with mode increase (preset serving)"
_ANSWERED = "nv_inference_request_success and "
_COUNTERS = (
    "Counters must be sent with mode `increase`, as in the presets. A plain name sends the accumulation: what is shown"
    " here is wrong for it, and no query can tell."
)
_SECTIONS: dict[str, list[Chart]] = {
    "Requests": [
        Chart("requests", "Requests a second, by model", f"nv_inference_request_success {_INCREASES}"),
        Chart("inferences", "Inferences a second, by model", f"nv_inference_count {_INCREASES}"),
        Chart("failures", "Failed requests, by reason", f"nv_inference_request_failure {_INCREASES}", "barchart"),
        Chart(
            "failed",
            "Failed requests, percent of all, by model",
            f"{_ANSWERED}nv_inference_request_failure {_INCREASES}",
        ),
    ],
    "Latency and load": [
        Chart(
            "latency",
            "Time of a request, ms, by model",
            f"{_ANSWERED}nv_inference_request_duration_us {_INCREASES}",
        ),
        Chart(
            "parts",
            "What it is made of, ms a request",
            "nv_inference_request_success, nv_inference_queue_duration_us and the three"
            f" nv_inference_compute_*_duration_us {_INCREASES}",
            "areachart",
        ),
        Chart(
            "queue",
            "Time in the queue, ms a request, by model",
            f"{_ANSWERED}nv_inference_queue_duration_us {_INCREASES}",
        ),
        Chart(
            "pending", "Requests in the queue, greatest number", "nv_inference_pending_request_count with mode stats"
        ),
        Chart(
            "load",
            "Load ratio: time of the requests by the time of computing them",
            f"nv_inference_request_duration_us and the three nv_inference_compute_*_duration_us {_INCREASES}",
        ),
        Chart(
            "batch",
            "Batch size: inferences an execution",
            f"nv_inference_count and nv_inference_exec_count {_INCREASES}",
        ),
    ],
    "Machine": [
        Chart("gpu", "GPU utilization, percent", "nv_gpu_utilization with mode stats (preset gpu)"),
        Chart(
            "gpu_memory",
            "GPU memory in use, percent, greatest",
            "nv_gpu_memory_used_bytes and nv_gpu_memory_total_bytes (preset gpu)",
        ),
        Chart("gpu_power", "GPU power, W", "nv_gpu_power_usage with mode stats (preset gpu)"),
        Chart("cpu", "CPU utilization, percent", "nv_cpu_utilization with mode stats (preset serving)"),
    ],
    "Language models": [
        Chart("first_token", "Time to the first token or response, ms, slowest", "their quantiles (preset llm)"),
        Chart("tokens", "Tokens a second", "vllm:generation_tokens_total with mode increase (preset llm)"),
        Chart("cache_blocks", "KV cache in use, percent", "nv_trt_llm_kv_cache_block_metrics (preset llm)", width=100),
    ],
    "The bridge": [
        Chart("last_rows", "Newest row of each role instance", "anything at all", "table", 100),
        Chart(
            "outcomes", "Points, by what became of them", "triton_bridge_points_total with mode increase", "barchart"
        ),
        Chart("backlog", "Waiting, greatest number", "triton_bridge_backlog_cycles, triton_bridge_waiting_points"),
        Chart("volume", "What it costs: rows and billed size of each metric", "anything at all", "table", 100),
    ],
}


def workbook() -> dict[str, Any]:
    """The document. The resource that it asks is the one in which it is opened."""
    return {"version": "Notebook/1.0", "items": _items(), "$schema": _SCHEMA}


def _items() -> list[dict[str, Any]]:
    items = [_parameters()]
    for heading, charts in _SECTIONS.items():
        note = f"\n\n{_COUNTERS}" if any("mode increase" in chart.needs for chart in charts) else ""
        items.append({"type": 1, "content": {"json": f"## {heading}{note}"}, "name": heading})
        items.extend(map(_chart, charts))
    return items


def _chart(chart: Chart) -> dict[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "query": _joined("ours", "rows", f"workbook/{chart.name}"),
        "size": 0,
        "title": chart.title,
        "noDataMessage": f"Nothing here in this time. It needs {chart.needs}.",
        **_IN_CHOSEN_TIME,
        **_OF_APPLICATION_INSIGHTS,
        "visualization": chart.kind,
    }
    if chart.name == "last_rows":
        redder = {"min": 0, "max": 10, "palette": "greenRed"}
        content["gridSettings"] = {
            "formatters": [{"columnMatch": "minutes_ago", "formatter": 8, "formatOptions": redder}]
        }
    return {"type": 3, "content": content, "customWidth": str(chart.width), "name": chart.name}


def _joined(*parts: str) -> str:
    return "\n".join(map(query, parts))


def _parameters() -> dict[str, Any]:
    time = {
        "type": 4,
        "value": {"durationMs": 4 * _HOUR_MS},
        "typeSettings": {"selectableValues": [{"durationMs": ms} for ms in _TIMES_MS], "allowCustom": True},
    }
    parameters = [
        _parameter("TimeRange", "Time", time),
        _choice("Role", "Role", "roles"),
        _choice("Instance", "Role instance", "instances"),
        _choice("Model", "Model", "models"),
    ]
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": parameters,
        "style": "pills",
        **_OF_APPLICATION_INSIGHTS,
    }
    return {"type": 9, "content": content, "name": "parameters"}


def _choice(name: str, label: str, file: str) -> dict[str, Any]:
    """Any number of what a query finds, all of it at first."""
    several = {"multiSelect": True, "quote": "'", "delimiter": ",", "value": ["value::all"]}
    asked = {"query": _joined("ours", f"workbook/{file}", "choice"), **_IN_CHOSEN_TIME, **_OF_APPLICATION_INSIGHTS}
    return _parameter(name, label, {"type": 2, **several, **asked, "typeSettings": _EVERYTHING})


def _parameter(name: str, label: str, settings: dict[str, Any]) -> dict[str, Any]:
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"triton-bridge/workbook/{name}"))
    head = {"id": identity, "version": "KqlParameterItem/1.0", "name": name, "label": label, "isRequired": True}
    return {**head, **settings}
