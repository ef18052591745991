"""Takes a metrics.json as JSON, gives its entries as the user wrote them, and findings.

The models are the one description of the fields, for people too: their words are what an editor shows (``schema``).
What they cannot say, since it holds between fields, stands in ``rules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from bridge.errors import Finding
from bridge.selection import words
from bridge.selection.entry import Aggregate, Mode

# Prometheus' data model, with the * and ? of a glob; what KEDA can put into a URL, as long as a name may be; the
# documented lengths of a property's key and value; what PromQL takes for a blank.
METRIC = r"^[a-zA-Z_:*?][a-zA-Z0-9_:*?]*$"
PUBLISHED = r"^[A-Za-z0-9_.-]{1,150}$"
DIMENSION = r"^[^\x00-\x1f]{1,150}$"
PROMQL = r"[^ \t\n\r]"

RESERVED = "_MS."  # dimensions of Application Insights' own; an AggregationIntervalMs changes what is stored
LONGEST_NAME = 150

T = TypeVar("T")


def _once_each(items: list[T]) -> list[T]:
    if len(set(items)) < len(items):
        raise PydanticCustomError("repeated", "names one twice")
    return items


def _not_reserved(name: str) -> str:
    if name.startswith(RESERVED):
        raise PydanticCustomError("reserved", "is reserved")
    return name


LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
DimensionName = Annotated[
    str, Field(pattern=DIMENSION, json_schema_extra={"not": {"pattern": r"^_MS\."}}), AfterValidator(_not_reserved)
]
DimensionValue = Annotated[str, Field(min_length=1, max_length=8192)]
Quantile = Annotated[float, Field(strict=True, ge=0, le=1)]
Once = Annotated[list[T], AfterValidator(_once_each), Field(json_schema_extra={"uniqueItems": True})]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null", "is null")
        return value


class LabelsText(_Model):
    """Changes of the dimensions of a row. What a series bears already is never overwritten."""

    model_config = ConfigDict(title="labels")

    rename: dict[LabelName, DimensionName] = Field(
        default={},
        description='A label\'s name in Prometheus, and its name in Application Insights: {"gpu_uuid": "gpu"}.',
    )
    add: dict[DimensionName, DimensionValue] = Field(
        default={}, description='Dimensions that every row gets: {"team": "search"}.'
    )


class EntryText(_Model):
    """What to send, and how. A metric's name alone, in quotes, stands for {"metric": name}."""

    model_config = ConfigDict(title="entry")

    metric: Annotated[str, Field(pattern=METRIC)] | None = Field(
        default=None,
        description="The name of a metric in Prometheus, or a glob (nv_gpu_*): * stands for any text, ? for one sign. "
        "Of a histogram, with mode histogram, the name without _bucket.",
    )
    query: Annotated[str, Field(pattern=PROMQL)] | None = Field(
        default=None, description="PromQL, asked once a cycle, instead of a metric. Needs a name."
    )
    match: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None,
        description='Only the series with these labels, as PromQL writes it between braces: model=~"bert.*",gpu!="0".',
    )
    name: Annotated[str, Field(pattern=PUBLISHED)] | None = Field(
        default=None,
        description="The name in Application Insights: letters, digits, _, . and -, at most 150. "
        "Without it the metric's own, with _ for a colon.",
    )
    mode: Mode | None = Field(
        default=None,
        description="value (without a mode): what Prometheus holds at the grid time, for a counter its total. "
        "increase: the exact gain in the interval; adds up. rate: that gain per second. "
        "irate: the last step between two scrapes, per second. stats: count, sum, min and max of all scrapes in the "
        "interval. histogram: the observations of the interval as one aggregate, and the quantiles.",
    )
    by: Once[LabelName] | None = Field(
        default=None, description="The labels to keep; rows that differ in others become one. [] makes one row of all."
    )
    without: Annotated[Once[LabelName], Field(min_length=1)] | None = Field(
        default=None, description="The labels to drop; rows that differ in them become one."
    )
    aggregate: Aggregate | None = Field(
        default=None,
        description="What is made of the values that become one row. For increase, rate and irate sum, where nothing is "
        "said; for value it must be said; stats and histogram have none, their samples are taken together.",
    )
    labels: LabelsText | None = Field(
        default=None, description="Changes of this entry's dimensions; they go before those at the top of the file."
    )
    quantiles: Annotated[Once[Quantile], Field(min_length=1)] | None = Field(
        default=None, description="With mode histogram: [0.5, 0.95, 0.999] are sent as NAME_p50, NAME_p95, NAME_p999."
    )


class FileText(_Model):
    """Which metrics triton-bridge carries from Prometheus into Application Insights."""

    model_config = ConfigDict(title="metrics.json")

    schema_: str | None = Field(default=None, alias="$schema", description="Where this schema is, for editors.")
    labels: LabelsText | None = Field(default=None, description="Changes of the dimensions of every entry.")
    # Each item is read on its own: a wrong one hides no other.
    custom_metrics: Annotated[list[Any], Field(min_length=1)] = Field(
        alias="customMetrics", description="What to send: names of metrics, or objects that say more."
    )


def read_file(document: Any, place: str, findings: list[Finding]) -> tuple[LabelsText, list[Any]]:
    """The labels for all, and the entries as they stand; what is wrong goes into ``findings``."""
    labels = None
    try:
        labels = FileText.model_validate(document).labels
    except ValidationError as error:
        findings += _findings(error, FileText, place)
    listed = document.get("customMetrics") if isinstance(document, dict) else None
    return labels or LabelsText(), listed if isinstance(listed, list) else []


def read_entry(item: Any, place: str, number: int, findings: list[Finding]) -> EntryText | None:
    """An entry's fields; None where something is wrong, which goes into ``findings``."""
    plain = isinstance(item, str)
    try:
        return EntryText.model_validate({"metric": item} if plain else item)
    except ValidationError as error:
        findings += _findings(error, EntryText, place, "customMetrics", number, plain=plain)
        return None


def _findings(
    error: ValidationError, model: type[_Model], place: str, *above: str | int, plain: bool = False
) -> Iterator[Finding]:
    for detail in error.errors(include_url=False, include_context=False):
        kind, loc = detail["type"], detail["loc"]
        holder: type[_Model] = LabelsText if loc[0:1] == ("labels",) and len(loc) > 1 else model
        known = [field.alias or name for name, field in holder.model_fields.items()]
        problem, remedy = words.say(kind, loc, detail["input"], known, entry=model is EntryText)
        # pydantic puts a word of its own behind a key of a labels object, and cannot write a key with half a character.
        inner = () if plain else takewhile(lambda part: "\ufffd" not in str(part), loc[:3])
        yield Finding(words.place(place, *above, *inner), problem, remedy)
