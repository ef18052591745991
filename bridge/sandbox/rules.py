"""Takes one parsed telemetry item and the time, gives its customMetrics row, or raises what the service says against it.

The rules are the public schemas': Envelope.bond, ContextTagKeys.bond, MetricData.bond, DataPoint.bond
(ApplicationInsights-Home, EndpointSpecs), and the 2020-09-15 and v2.1 swagger of Monitor.Exporters. Where schema and
practice are known to differ the stricter one stands here: ``time`` needs its Z, ``ver`` must be there, and a property
that is too long is refused where the service may cut it. A property may hold 8,192 characters, its name 150.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bridge.sandbox import refusals
from bridge.sandbox.refusals import Refused

MOST_PAST_MS, MOST_FUTURE_MS = 172_800_000, 7_200_000
MOST_KEY, MOST_NAME, MOST_NAMESPACE, MOST_TIME, MOST_SEQUENCE = 40, 1024, 256, 64, 64
MOST_PROPERTY_KEY, MOST_PROPERTY_VALUE = 150, 8192
INT32 = range(-(2**31), 2**31)

TAGS = {
    "ai.application.ver": 1024,
    "ai.cloud.role": 256,
    "ai.cloud.roleInstance": 256,
    "ai.device.id": 1024,
    "ai.device.locale": 64,
    "ai.device.model": 256,
    "ai.device.oemName": 256,
    "ai.device.osVersion": 256,
    "ai.device.type": 64,
    "ai.internal.agentVersion": 64,
    "ai.internal.sdkVersion": 64,
    "ai.location.ip": 45,
    "ai.operation.correlationVector": 64,
    "ai.operation.id": 128,
    "ai.operation.name": 1024,
    "ai.operation.parentId": 128,
    "ai.operation.syntheticSource": 1024,
    "ai.session.id": 64,
    "ai.session.isFirst": 5,
    "ai.user.accountId": 1024,
    "ai.user.authUserId": 1024,
    "ai.user.id": 128,
    "ai.user.userAgent": 2048,
}

# The text that a type requires, and its length; None where it is not checked here.
OTHER_TYPES = {
    "AvailabilityData": None,
    "EventData": ("name", 512),
    "ExceptionData": None,
    "MessageData": ("message", 32_768),
    "PageViewData": None,
    "PageViewPerfData": None,
    "PageviewData": None,  # as the JavaScript SDK spells it
    "PageviewPerformanceData": None,
    "RemoteDependencyData": None,
    "RequestData": None,
}

_iso_time = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z", re.ASCII).fullmatch

Row = dict[str, Any]
_Object = Mapping[str, Any]


def identify(item: object) -> str:
    """Whose item it is: its instrumentation key in lower case (keys are compared without regard to case).

    Raises Refused if it is no telemetry item, or holds nothing that could be a key: a string of at most 40 characters.
    The type comes first: JSON that is no telemetry at all got "Unknown domain type 'undefined'" from the service.
    """
    data = item.get("data") if isinstance(item, dict) else None
    base_type = data.get("baseType") if isinstance(data, dict) else None
    if base_type != "MetricData" and (not isinstance(base_type, str) or base_type not in OTHER_TYPES):
        raise refusals.unknown_type(base_type)
    assert isinstance(item, dict)  # else it would have no type
    key = _text(item, "iKey", "Envelope", MOST_KEY)
    if not key:
        raise Refused(400, refusals.INVALID_KEY)
    return key.lower()


def judge(item: _Object, now: float) -> Row | None:
    """The row that an identified item becomes at ``now`` (epoch s); None for a type that makes no customMetrics row.

    Raises Refused with the first thing that is against it.
    """
    base_type, base = item["data"]["baseType"], item["data"].get("baseData")
    _envelope(item, now)
    if not isinstance(base, dict):
        raise refusals.missing("baseData", "Data", "object")
    _integer(base, "ver", base_type, required=True)
    _properties(base, base_type)
    if base_type != "MetricData":
        _other(base, base_type)
        return None
    return _row(item, base, _data_point(base))


def seconds(time: str) -> float | None:
    """The epoch seconds of an ISO 8601 time in UTC with a trailing Z and any number of decimals; None for other text."""
    found = _iso_time(time)
    if not found:
        return None
    try:
        whole = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return whole.timestamp() + float(f"0.{found[2] or 0}")


def _envelope(item: _Object, now: float) -> None:
    time = _text(item, "time", "Envelope", MOST_TIME, required=True)
    at = seconds(time)
    if at is None:
        raise refusals.not_a_time()
    if at < now - MOST_PAST_MS / 1000:
        raise refusals.too_old(MOST_PAST_MS)
    if at > now + MOST_FUTURE_MS / 1000:
        raise refusals.too_new(MOST_FUTURE_MS)
    _text(item, "name", "Envelope", MOST_NAME, required=True)
    _text(item, "seq", "Envelope", MOST_SEQUENCE)
    _integer(item, "ver", "Envelope")
    _number(item, "sampleRate", "Envelope")
    for tag, value in _map(item, "tags", "Envelope", str).items():
        if tag in TAGS and _length(value) > TAGS[tag]:
            raise refusals.too_long(tag, "ContextTagKeys", TAGS[tag])


def _properties(base: _Object, owner: str) -> None:
    for key, value in _map(base, "properties", owner, str).items():
        if _length(key) > MOST_PROPERTY_KEY:
            raise refusals.too_long("properties", owner, MOST_PROPERTY_KEY)
        if _length(value) > MOST_PROPERTY_VALUE:
            raise refusals.too_long(key, f"{owner}.properties", MOST_PROPERTY_VALUE)


def _other(base: _Object, owner: str) -> None:
    required = OTHER_TYPES[owner]
    if required:
        _text(base, required[0], owner, required[1], required=True)
    _map(base, "measurements", owner, float)


def _data_point(base: _Object) -> _Object:
    metrics = base.get("metrics")
    if metrics is None or metrics == []:
        raise refusals.missing("metrics", "MetricData", "array")
    # The storage keeps one data point: "if multiple were sent only the first one will be used" (MetricData.md).
    if not isinstance(metrics, list) or not isinstance(metrics[0], dict):
        raise refusals.wrong_type("metrics", "MetricData", "array of DataPoint")
    point: _Object = metrics[0]
    _text(point, "name", "DataPoint", MOST_NAME, required=True)
    _text(point, "ns", "DataPoint", MOST_NAMESPACE)
    _number(point, "value", "DataPoint", required=True)
    for field in ("min", "max", "stdDev"):
        _number(point, field, "DataPoint")
    _integer(point, "count", "DataPoint")
    kind = point.get("kind")
    if isinstance(kind, bool) or kind not in (None, 0, 1, "Measurement", "Aggregation"):
        raise refusals.wrong_type("kind", "DataPoint", "DataPointType")
    return point


def _row(item: _Object, base: _Object, point: _Object) -> Row:
    # Sum, min and max of a single measurement are its value (data-model-complete.md); what an aggregate leaves out
    # stays empty. A point with another count than 1 is an aggregate whatever its kind: many SDKs send no kind at all.
    kind = "Aggregation" if point.get("kind") in (1, "Aggregation") else "Measurement"
    total = float(point["value"])
    count = 1 if point.get("count") is None else point["count"]
    single = total if kind == "Measurement" and count == 1 else None
    tags = item.get("tags") or {}
    whole, _, fraction = item["time"][:-1].partition(".")
    return {
        "timestamp": f"{whole}.{fraction[:7]}".rstrip("0").rstrip(".") + "Z" if fraction else f"{whole}Z",
        "name": point["name"],
        "value": total / count if count > 0 else total,
        "valueCount": count,
        "valueSum": total,
        "valueMin": single if point.get("min") is None else point["min"],
        "valueMax": single if point.get("max") is None else point["max"],
        "valueStdDev": point.get("stdDev"),
        "customDimensions": dict(base.get("properties") or {}),
        "cloud_RoleName": tags.get("ai.cloud.role", ""),
        "cloud_RoleInstance": tags.get("ai.cloud.roleInstance", ""),
        "sdkVersion": tags.get("ai.internal.sdkVersion", ""),
        "iKey": item["iKey"],
        "itemType": "customMetric",
        "_kind": kind,
    }


def _text(owner: _Object, field: str, owner_type: str, most: int, *, required: bool = False) -> str:
    value = owner.get(field)
    if value is not None and not isinstance(value, str):
        raise refusals.wrong_type(field, owner_type, "string")
    if required and not value:
        raise refusals.missing(field, owner_type, "string")
    if value and _length(value) > most:
        raise refusals.too_long(field, owner_type, most)
    return value or ""


def _number(owner: _Object, field: str, owner_type: str, *, required: bool = False) -> None:
    value = owner.get(field)
    if (required or value is not None) and not _is_double(value):
        raise refusals.wrong_type(field, owner_type, "number")


def _integer(owner: _Object, field: str, owner_type: str, *, required: bool = False) -> None:
    value = owner.get(field)
    if value is None and required:
        raise refusals.missing(field, owner_type, "integer")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value not in INT32):
        raise refusals.wrong_type(field, owner_type, "integer")


def _map(owner: _Object, field: str, owner_type: str, child: type[str | float]) -> dict[str, Any]:
    value = owner.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusals.wrong_type(field, owner_type, "object")
    for key, each in value.items():
        if not (isinstance(each, str) if child is str else _is_double(each)):
            raise refusals.wrong_child(key, each, "string" if child is str else "number")
    return value


def _is_double(value: object) -> bool:
    # 1e400 is good JSON and no double; it reads as infinity. The service takes neither that nor NaN since 2016.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _length(text: str) -> int:
    # .NET counts UTF-16 code units, so a character beyond the basic plane counts twice.
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
