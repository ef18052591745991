"""Takes a table of panels, gives deploy/grafana/triton-bridge.json, a dashboard of Grafana: ``python -m tools.grafana``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "triton-bridge.json"

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8  # of a grid of 24
_SERVER = 'instance=~"$instance"'
_MODEL = f'{_SERVER}, model=~"$model"'
_BRIDGE = 'instance=~"$bridge"'


class Panel(NamedTuple):
    """Lines over time: PromQL by legend (``{{label}}`` is replaced). ``unit`` is one of Grafana's."""

    title: str
    unit: str
    lines: dict[str, str]
    description: str = ""


def _rate(name: str, labels: str = _MODEL) -> str:
    return f"rate({name}{{{labels}}}[$__rate_interval])"


def _a_cycle(name: str) -> str:
    """Of what counts once an interval: in a window of few scrapes that would be teeth of a saw."""
    return f"rate({name}{{{_BRIDGE}}}[5m])"


def _per_request(part: str, by: str) -> str:
    """Microseconds a request, of the requests that were answered; nothing where none was."""
    spent, answered = _rate(f"nv_inference_{part}_duration_us"), _rate("nv_inference_request_success")
    return f"sum {by}({spent}) / (sum {by}({answered}) > 0)"


def _quantiles(histogram: str) -> dict[str, str]:
    buckets = f"sum by (le, model) ({_rate(f'{histogram}_bucket')})"
    return {f"{{{{model}}}} p{100 * q:g}": f"histogram_quantile({q}, {buckets})" for q in (0.5, 0.95, 0.99)}


SECTIONS: dict[str, list[Panel]] = {
    "Requests": [
        Panel("Requests", "reqps", {"{{model}}": f"sum by (model) ({_rate('nv_inference_request_success')})"}),
        Panel("Inferences", "ops", {"{{model}}": f"sum by (model) ({_rate('nv_inference_count')})"}),
        Panel("Failures", "reqps", {"{{reason}}": f"sum by (reason) ({_rate('nv_inference_request_failure')})"}),
        Panel(
            "Failed share",
            "percentunit",
            {"{{model}}": f"max by (model) (nv_inference_request_failure_ratio{{{_MODEL}}})"},
        ),
    ],
    "Latency": [
        Panel("Time of a request", "µs", {"{{model}}": _per_request("request", "by (model) ")}),
        Panel(
            "What it is made of",
            "µs",
            {part: _per_request(part, "") for part in ("queue", "compute_input", "compute_infer", "compute_output")},
        ),
        Panel(
            "Quantiles of the last minute",
            "µs",
            {"{{model}} {{quantile}}": f"max by (model, quantile) (nv_inference_request_summary_us{{{_MODEL}}})"},
            "Needs tritonserver --metrics-config summary_latencies=true.",
        ),
        Panel(
            "Time to the first response",
            "ms",
            _quantiles("nv_inference_first_response_histogram_ms"),
            "Needs Triton 24.11 or newer, with --metrics-config histogram_latencies=true.",
        ),
    ],
    "Load": [
        Panel("Time in the queue", "µs", {"{{model}}": _per_request("queue", "by (model) ")}),
        Panel(
            "Requests in the queue",
            "short",
            {"{{model}}": f"sum by (model) (nv_inference_pending_request_count{{{_MODEL}}})"},
        ),
        Panel(
            "Load ratio",
            "short",
            {"{{model}}": f"max by (model) (nv_inference_load_ratio{{{_MODEL}}})"},
            "Time of the requests by the time of computing them: 1 where none waits.",
        ),
        Panel("Batch size", "short", {"{{model}}": f"max by (model) (nv_inference_batch_size{{{_MODEL}}})"}),
        Panel(
            "Response cache",
            "percentunit",
            {
                "{{model}} hits": f"sum by (model) ({_rate('nv_cache_num_hits_per_model')})"
                f" / (sum by (model) ({_rate('nv_cache_num_hits_per_model')})"
                f" + sum by (model) ({_rate('nv_cache_num_misses_per_model')}) > 0)"
            },
            "Needs --cache-config, and response_cache of the model.",
        ),
    ],
    "Machine": [
        Panel("GPU utilization", "percentunit", {"{{gpu_uuid}}": f"nv_gpu_utilization{{{_SERVER}}}"}),
        Panel(
            "GPU memory",
            "percentunit",
            {"{{gpu_uuid}}": f"nv_gpu_memory_used_bytes{{{_SERVER}}} / nv_gpu_memory_total_bytes{{{_SERVER}}}"},
        ),
        Panel("GPU power", "watt", {"{{gpu_uuid}}": _rate("nv_energy_consumption", _SERVER)}),
        Panel("CPU utilization", "percentunit", {"{{instance}}": f"nv_cpu_utilization{{{_SERVER}}}"}),
        Panel(
            "Memory",
            "percentunit",
            {"{{instance}}": f"nv_cpu_memory_used_bytes{{{_SERVER}}} / nv_cpu_memory_total_bytes{{{_SERVER}}}"},
        ),
    ],
    "Language models": [
        Panel("Time to the first token", "s", _quantiles("vllm:time_to_first_token_seconds")),
        Panel(
            "Tokens",
            "ops",
            {
                "{{model}} prompt": f"sum by (model) ({_rate('vllm:prompt_tokens_total')})",
                "{{model}} generation": f"sum by (model) ({_rate('vllm:generation_tokens_total')})",
            },
        ),
        Panel(
            "KV cache in use",
            "percentunit",
            {
                "{{model}}": "max by (model)"
                f' (nv_trt_llm_kv_cache_block_metrics{{{_MODEL}, kv_cache_block_type="fraction"}})'
            },
        ),
    ],
    "The bridge": [
        Panel("State", "short", {"{{instance}} {{state}}": f"triton_bridge_state{{{_BRIDGE}}} == 1"}),
        Panel(
            "Age of the newest row in Azure",
            "s",
            {"{{instance}}": f"time() - (triton_bridge_last_delivered_timestamp_seconds{{{_BRIDGE}}} > 0)"},
        ),
        Panel(
            "Points, by what became of them",
            "ops",
            {"{{outcome}}": f"sum by (outcome) ({_a_cycle('triton_bridge_points_total')})"},
        ),
        Panel(
            "Waiting",
            "short",
            {
                "{{instance}} cycles": f"triton_bridge_backlog_cycles{{{_BRIDGE}}}",
                "{{instance}} points": f"triton_bridge_waiting_points{{{_BRIDGE}}}",
            },
        ),
        Panel("Time of a cycle", "s", {"{{instance}}": f"triton_bridge_cycle_seconds{{{_BRIDGE}}}"}),
        Panel("Series", "short", {"{{instance}}": f"triton_bridge_series{{{_BRIDGE}}}"}),
        Panel("Sent", "Bps", {"{{instance}}": _a_cycle("triton_bridge_sent_bytes_total")}),
        Panel(
            "Billed in a month",
            "decbytes",
            {"{{instance}}": f"triton_bridge_monthly_billed_bytes{{{_BRIDGE}}}"},
            "Estimated: 30 days of cycles like the newest one.",
        ),
        Panel(
            "State on disk, metrics.json in force",
            "bool_yes_no",
            {
                "{{instance}} state": f"triton_bridge_state_durable{{{_BRIDGE}}}",
                "{{instance}} selection": f"triton_bridge_config_last_reload_successful{{{_BRIDGE}}}",
            },
        ),
    ],
}

_VARIABLES = {
    "instance": ("Triton", "label_values(nv_inference_request_success, instance)"),
    "model": ("Model", f"label_values(nv_inference_request_success{{{_SERVER}}}, model)"),
    "bridge": ("Bridge", "label_values(triton_bridge_build_info, instance)"),
}


def dashboard() -> dict[str, Any]:
    """The document, for *Dashboards, New, Import*."""
    return {
        "title": "Triton and its bridge",
        "uid": "triton-bridge",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": _panels(),
    }


def _variables() -> list[dict[str, Any]]:
    source = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"}
    several = {
        "type": "query",
        "datasource": _SOURCE,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }
    return [
        source,
        *(
            {**several, "name": name, "label": label, "query": query, "definition": query}
            for name, (label, query) in _VARIABLES.items()
        ),
    ]


def _panels() -> list[dict[str, Any]]:
    """A row for each section, three panels beside one another."""
    panels: list[dict[str, Any]] = []
    y = 0
    for section, found in SECTIONS.items():
        place = {"x": 0, "y": y, "w": 24, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": section, "gridPos": place, "panels": []})
        y += 1
        for number, panel in enumerate(found):
            down, across = divmod(number, 3)
            place = {"x": across * _WIDTH, "y": y + down * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
        y += -(-len(found) // 3) * _HEIGHT
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for number, (legend, expression) in enumerate(panel.lines.items())
        ],
    }


def text() -> str:
    """The document as it stands in its file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(text(), encoding="utf-8")
