"""Takes envelopes, gives the bytes that Log Analytics bills for them, about.

It bills the text of the columns that it stores ("Azure Monitor Logs cost calculations": 10⁹ bytes a GB, without
_ResourceId, _ItemId, _BilledSize, TenantId, Type …). Of AppMetrics those come from an envelope's name, numbers,
properties and tags, and from what the service adds: TimeGenerated 28, ResourceGUID 36, IKey 36, ClientIP, ClientCity,
ClientStateOrProvince and ClientCountryOrRegion 37, SourceSystem 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import orjson
from opentelemetry.sdk.metrics.export import Metric

from bridge.envelopes import Encoder

DAYS = 30  # a month's

_TAGS = ("ai.cloud.role", "ai.cloud.roleInstance", "ai.internal.sdkVersion", "ai.application.ver", "ai.device.type")
_ADDED = 28 + 36 + 36 + 37 + 5


def billed(envelopes: Iterable[bytes]) -> int:
    """Bytes of the stored columns; a lone value is stored as sum, least and greatest."""
    size = 0
    for item in envelopes:
        envelope = orjson.loads(item)
        data = envelope["data"]["baseData"]
        point = data["metrics"][0]
        value = point["value"]
        numbers = (value, point.get("min", value), point.get("max", value), point["count"])
        texts = (point["name"], *(envelope["tags"].get(tag, "") for tag in _TAGS))
        size += _ADDED + len(orjson.dumps(data["properties"]))
        size += sum(len(text.encode()) for text in texts) + sum(len(orjson.dumps(number)) for number in numbers)
    return size


def estimated(encoder: Encoder, metrics: Iterable[Metric]) -> int:
    """The same for all points of these metrics, as if those of one metric were all as long as its first."""
    return sum(billed(islice(encoder.items([metric]), 1)) * len(metric.data.data_points) for metric in metrics)
