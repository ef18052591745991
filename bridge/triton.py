"""Takes nothing, gives what Triton exposes on its metrics port, and what our rules record of it, as data.

Read from the source of Triton up to container release 26.07 (core: ``metrics.cc``, ``metric_model_reporter.cc``;
local_cache, vllm_backend, tensorrtllm_backend); a live test compares it with what the 24.10 server exposes.

Series of a model may bear more labels than are listed: ``namespace`` with ``--model-namespacing``, ``_TAG`` for each
``metric_tags`` entry of its configuration, and ``gpu_uuid`` where it was loaded onto a GPU after the start.
``--metrics-config counter_latencies=false`` stops every counter of a model at 0, not only the latencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """The type in the exposition. A summary and a histogram have ``NAME_sum`` and ``NAME_count`` as well."""

    COUNTER = "counter"
    GAUGE = "gauge"
    SUMMARY = "summary"
    HISTOGRAM = "histogram"

    @property
    def parts(self) -> tuple[str, ...]:
        """What the names of its series end in, beside the metric's own name; empty where it has no others."""
        return {Kind.HISTOGRAM: ("bucket", "sum", "count"), Kind.SUMMARY: ("sum", "count")}.get(self, ())


@dataclass(frozen=True)
class Exposed:
    """A metric of Triton.

    ``labels`` are those beside Prometheus' own. ``since`` is a container release (``YY.MM``); 22.04 stands for that
    one or older. ``enabled_by`` is empty where the metric is there by default, otherwise the server's flag, the
    model's setting or the backend that brings it. ``accumulates``: it only grows until Triton starts anew, which some
    gauges do too.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    since: str
    enabled_by: str
    meaning: str
    accumulates: bool


@dataclass(frozen=True)
class Recorded:
    """A series that ``prometheus/rules/FILE`` records. Every one is a gauge.

    ``formula`` says of what, in the names of Triton: an instant rate has the labels of its source, a quotient those of
    the model. Each name of a quotient stands for its gain over the last minute.
    """

    name: str
    formula: str
    unit: str
    meaning: str
    file: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The series that it is made of, each once."""
        return tuple(dict.fromkeys(re.findall(r"nv_\w+", self.formula)))


# A line with bars says what the names below it have in common: kind | unit | labels | since | enabled by. A counting
# gauge has that type in the exposition, and counts all the same.
_TABLE = """
counter | requests | model version | 22.04 |
nv_inference_request_success: requests answered, from the cache too; an error that a Python model returns counts here
counter | requests | model version reason | 22.04 |
nv_inference_request_failure: requests that failed, by reason since 24.07; a full queue or a wrong shape is not counted
counter | inferences | model version | 22.04 |
nv_inference_count: rows computed: a batch of 8 counts 8, an answer from the cache nothing
counter | executions | model version | 22.04 |
nv_inference_exec_count: executions of the model: a batch counts 1, an answer from the cache nothing

counter | us | model version | 22.04 |
nv_inference_request_duration_us: time of all requests from arrival to answer, from the cache too
nv_inference_queue_duration_us: time that all requests waited for an execution
nv_inference_compute_input_duration_us: time spent on preparing inputs
nv_inference_compute_infer_duration_us: time spent in the model; of a decoupled model, until execute() returned
nv_inference_compute_output_duration_us: time spent on copying outputs

summary | us | model version quantile | 23.04 | --metrics-config summary_latencies=true
nv_inference_request_summary_us: time of a request over the last minute; not for models with a response cache
nv_inference_queue_summary_us: time that a request waited, over the last minute
nv_inference_compute_input_summary_us: time of preparing the inputs of a request, over the last minute
nv_inference_compute_infer_summary_us: time of a request in the model, over the last minute
nv_inference_compute_output_summary_us: time of copying the outputs of a request, over the last minute
histogram | ms | model version le | 24.11 | --metrics-config histogram_latencies=true
nv_inference_first_response_histogram_ms: time to the first response; before 26.01 of decoupled models only

gauge | requests | model version | 23.09 |
nv_inference_pending_request_count: requests in the queue now; 0 for ensembles
gauge | s | model version | 24.11 |
nv_model_load_duration_secs: how long the model took to load

counter | J | gpu_uuid | 22.04 | a GPU, not in MIG mode
nv_energy_consumption: energy since Triton started; its rate is power
gauge | W | gpu_uuid | 22.04 | a GPU, not in MIG mode
nv_gpu_power_usage: power drawn now; a field that cannot be read is 0, and after three failures keeps its last value
nv_gpu_power_limit: power limit
gauge | ratio | gpu_uuid | 22.04 | a GPU, not in MIG mode
nv_gpu_utilization: share of time that the GPU was busy, 0 to 1
gauge | bytes | gpu_uuid | 22.04 | a GPU, not in MIG mode
nv_gpu_memory_total_bytes: memory of the GPU
nv_gpu_memory_used_bytes: used memory of the GPU
gauge | ratio | | 22.09 |
nv_cpu_utilization: share of time that the host's cores were busy, 0 to 1; container limits do not matter
gauge | bytes | | 22.09 |
nv_cpu_memory_total_bytes: memory of the host
nv_cpu_memory_used_bytes: memory of the host that is not available
gauge | bytes | | 24.01 |
nv_pinned_memory_pool_total_bytes: size of the pinned memory pool
nv_pinned_memory_pool_used_bytes: used part of the pinned memory pool

counter | lookups | model version | 22.04 | --cache-config, and response_cache of the model
nv_cache_num_hits_per_model: requests answered from the cache
nv_cache_num_misses_per_model: requests that the cache could not answer
counter | us | model version | 23.03 | --cache-config, and response_cache of the model
nv_cache_hit_duration_per_model: time of all hits
nv_cache_miss_duration_per_model: time of all misses, insertion included
summary | us | model version quantile | 23.04 | --cache-config, response_cache of the model, and summary_latencies=true
nv_cache_hit_summary_per_model: time of a hit over the last minute
nv_cache_miss_summary_per_model: time of a miss over the last minute
gauge | ratio | | 22.04 | --cache-config local
nv_cache_util: used share of the cache, 0 to 1
gauge | entries | | 22.04 | --cache-config local
nv_cache_num_entries: responses in the cache
counting gauge | entries | | 22.04 | --cache-config local
nv_cache_num_evictions: responses evicted since the start; a gauge, but it accumulates
counting gauge | lookups | | 22.04 | --cache-config local
nv_cache_num_lookups: lookups since the start; a gauge, but it accumulates
nv_cache_num_hits: hits since the start; a gauge, but it accumulates
nv_cache_num_misses: misses since the start; a gauge, but it accumulates
counting gauge | us | | 22.04 | --cache-config local
nv_cache_lookup_duration: time of all lookups; a gauge, but it accumulates
nv_cache_insertion_duration: time of all insertions; a gauge, but it accumulates

counter | tokens | model version | 24.08 | vLLM backend
vllm:prompt_tokens_total: prompt tokens processed
vllm:generation_tokens_total: tokens generated
histogram | s | model version le | 24.08 | vLLM backend
vllm:time_to_first_token_seconds: time to the first token of a request
vllm:time_per_output_token_seconds: time from one token to the next
vllm:e2e_request_latency_seconds: time of a request
histogram | tokens | model version le | 24.08 | vLLM backend
vllm:request_prompt_tokens: prompt tokens of a request
vllm:request_generation_tokens: tokens generated for a request
histogram | sequences | model version le | 24.08 | vLLM backend
vllm:request_params_n: answers that a request asked for

gauge | requests | model version request_type | 23.11 | TensorRT-LLM backend
nv_trt_llm_request_metrics: requests, by request_type: active, max, scheduled, context, waiting
gauge | bytes | model version memory_type | 23.11 | TensorRT-LLM backend
nv_trt_llm_runtime_memory_metrics: memory in use, by memory_type: cpu, gpu, pinned
gauge | mixed | model version kv_cache_block_type | 23.11 | TensorRT-LLM backend
nv_trt_llm_kv_cache_block_metrics: blocks of the KV cache, by kv_cache_block_type, of which `fraction` is a ratio
gauge | mixed | model version inflight_batcher_specific_metric | 23.11 | TensorRT-LLM backend, in-flight batching
nv_trt_llm_inflight_batcher_metrics: the batcher, by inflight_batcher_specific_metric, each of its own meaning
gauge | mixed | model version v1_specific_metric | 23.11 | TensorRT-LLM backend, static batching
nv_trt_llm_v1_metrics: the batcher, by v1_specific_metric, each of its own meaning
gauge | mixed | model version general_type | 23.11 | TensorRT-LLM backend
nv_trt_llm_general_metrics: time stamp and iteration counter, by general_type
counter | mixed | model version disaggregated_serving_type | 23.11 | TensorRT-LLM backend, disaggregated serving
nv_trt_llm_disaggregated_serving_metrics: kv_cache_transfer_ms and request_count, by disaggregated_serving_type
histogram | tokens | model version response_metric_type le | 23.11 | TensorRT-LLM backend
nv_llm_input_token_len: tokens of a request's input
nv_llm_output_token_len: tokens of a response
"""

_RATES = {"us": "us/s", "requests": "requests/s", "inferences": "inferences/s", "executions": "executions/s", "J": "W"}


def _rows(table: str) -> Iterator[Exposed]:
    kind = unit = labels = since = enabled_by = ""
    for line in filter(None, table.splitlines()):
        if "|" in line:
            kind, unit, labels, since, enabled_by = (cell.strip() for cell in line.split("|"))
        else:
            name, _, meaning = line.partition(": ")
            counting, _, last = kind.rpartition(" ")
            accumulates = bool(counting) or last == Kind.COUNTER.value
            yield Exposed(name, Kind(last), unit, tuple(labels.split()), since, enabled_by, meaning, accumulates)


EXPOSED: tuple[Exposed, ...] = tuple(_rows(_TABLE))


# Each duration's part of the name, and what its quotient by the requests is.
_PARTS = {
    "request": "mean time of a request, from arrival to answer",
    "queue": "mean time that a request waited for an execution",
    "compute_input": "mean time of preparing the inputs of a request",
    "compute_infer": "mean time of a request in the model",
    "compute_output": "mean time of copying the outputs of a request",
}
_COMPUTED = " + ".join(f"nv_inference_compute_{part}_duration_us" for part in ("input", "infer", "output"))


def recorded() -> tuple[Recorded, ...]:
    """What ``prometheus/rules`` record: instant rates first, then what is derived from several counters of a model.

    A rate of every counter and summary of the core, and of energy. A summary's quantiles have none: its ``_sum`` and
    its ``_count`` have one each.
    """
    return (*(rate for metric in EXPOSED for rate in _rates(metric)), *_derived())


def _rates(metric: Exposed) -> Iterator[Recorded]:
    def rate(name: str, source: str, unit: str, meaning: str) -> Recorded:
        return Recorded(f"{name}_irate", f"irate({source})", unit, f"{meaning}: {metric.meaning}", "triton.yml")

    name = metric.name
    if name.startswith(("nv_inference_", "nv_energy_")):
        if metric.kind is Kind.COUNTER:
            yield rate(name, name, _RATES[metric.unit], "instant rate")
        elif metric.kind is Kind.SUMMARY:
            yield rate(name, f"{name}_sum", "us/s", "instant rate of the sum")
            yield rate(f"{name}_count", f"{name}_count", "requests/s", "instant rate of the requests in it")


def _derived() -> Iterator[Recorded]:
    def derived(name: str, formula: str, unit: str, meaning: str) -> Recorded:
        return Recorded(name, formula, unit, meaning, "derived.yml")

    for part, meaning in _PARTS.items():
        duration = f"nv_inference_{part}_duration_us"
        yield derived(f"{duration}_per_request", f"{duration} ÷ nv_inference_request_success", "us/request", meaning)
    yield derived(
        "nv_inference_batch_size",
        "nv_inference_count ÷ nv_inference_exec_count",
        "inferences/execution",
        "mean number of inferences that the model computed at once",
    )
    yield derived(
        "nv_inference_request_failure_ratio",
        "nv_inference_request_failure ÷ (nv_inference_request_success + nv_inference_request_failure)",
        "ratio",
        "share of requests that failed for whatever reason, 0 to 1",
    )
    yield derived(
        "nv_inference_load_ratio",
        f"nv_inference_request_duration_us ÷ ({_COMPUTED})",
        "ratio",
        "time of the requests by the time of computing them: 1 where none waits, 0 where nothing was computed",
    )
