"""Takes the models and rules of metrics.json, gives its JSON Schema (draft 2020-12), for editors.

``python -m bridge.selection.schema > config/metrics.schema.json`` writes the file anew; a test compares, and holds that
it refuses what ``parse`` refuses.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from bridge.selection.document import LONGEST_NAME, METRIC, EntryText, FileText
from bridge.selection.entry import Mode
from bridge.selection.rules import NOT_OF_A_QUERY, POOLED

# What ``rules`` says, in the schema's own words.
_GROUPED = {"anyOf": [{"required": ["by"]}, {"required": ["without"]}]}
_BETWEEN_FIELDS: dict[str, Any] = {
    "oneOf": [{"required": ["metric"]}, {"required": ["query"]}],
    "not": {"required": ["by", "without"]},
    "dependentRequired": {"query": ["name"], "quantiles": ["mode"]},
    "dependentSchemas": {
        "query": {"properties": {"mode": {"const": Mode.VALUE.value}, **dict.fromkeys(NOT_OF_A_QUERY, False)}},
        "quantiles": {"properties": {"mode": {"const": Mode.HISTOGRAM.value}}},
        "aggregate": {**_GROUPED, "properties": {"mode": {"not": {"enum": [mode.value for mode in POOLED]}}}},
    },
    "allOf": [
        {
            "if": {"properties": {"metric": {"pattern": "[*?]"}}, "required": ["metric"]},
            "then": {"not": {"required": ["name"]}},
        },
        {"if": {"not": {"required": ["name"]}}, "then": {"properties": {"metric": {"maxLength": LONGEST_NAME}}}},
        {"if": {**_GROUPED, "properties": {"mode": {"const": Mode.VALUE.value}}}, "then": {"required": ["aggregate"]}},
    ],
}


class _ForEditors(GenerateJsonSchema):
    """Says nothing of null, which is refused, nor of titles and defaults, which tell a reader nothing."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        keys, values = self.generate_inner(schema["keys_schema"]), self.generate_inner(schema["values_schema"])
        return {"type": "object", "propertyNames": keys, "additionalProperties": values}


def schema() -> dict[str, Any]:
    """The JSON Schema of a metrics.json.

    What ``parse`` refuses and a schema cannot see: keys that stand twice in one object, half a character, matchers that
    are no PromQL, names that come out twice (of metrics or of dimensions) or, with their quantiles, too long.
    """
    entry = EntryText.model_json_schema(schema_generator=_ForEditors)
    file = FileText.model_json_schema(schema_generator=_ForEditors)
    definitions = {**entry.pop("$defs"), **file.pop("$defs"), "Entry": entry | _BETWEEN_FIELDS}
    name = {"description": EntryText.__doc__, "type": "string", "pattern": METRIC, "maxLength": LONGEST_NAME}
    file["properties"]["customMetrics"]["items"] = {"anyOf": [name, {"$ref": "#/$defs/Entry"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **file, "$defs": definitions}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=4) + "\n")
