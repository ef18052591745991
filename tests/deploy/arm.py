"""Takes an ARM template and values for its parameters, gives what Azure Resource Manager would be asked to make.

The functions are those that our template uses, with the meaning that Azure documents; any other is a LookupError, and
so is a parameter or a variable that there is not. ``read`` afterwards names the parameters and variables that were read.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

TYPES = {"string": str, "int": int, "bool": bool, "array": list}
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z]\w*)|(?P<mark>[(),.]))")


class Rendering:
    """One template with one set of parameters. ValueError for a value of a wrong type, or one that is not allowed."""

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, Any], group: Mapping[str, str]) -> None:
        self.read: set[tuple[str, str]] = set()
        self._variables = template["variables"]
        self._group = group
        self._functions: dict[str, Callable[..., Any]] = {
            "parameters": lambda name: self._known("parameters", self._parameters, name),
            "variables": lambda name: self.value(self._known("variables", self._variables, name)),
            "resourceGroup": lambda: dict(group),
            "resourceId": lambda kind, name: f"{group['id']}/providers/{kind}/{name}",
            "guid": lambda *parts: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(parts))),
            "string": str,
            "concat": lambda *parts: "".join(parts),
            "replace": lambda text, old, new: text.replace(old, new),
            "if": lambda condition, yes, no: yes if condition else no,
            "empty": lambda value: len(value) == 0,
            "createArray": lambda *items: list(items),
            "createObject": lambda *items: dict(zip(items[::2], items[1::2], strict=True)),
        }
        self._parameters: dict[str, Any] = {}
        if unknown := given.keys() - template["parameters"].keys():
            raise LookupError(f"no such parameters: {unknown}")
        for name, declared in template["parameters"].items():
            value = given[name] if name in given else self.value(declared["defaultValue"])
            if type(value) is not TYPES[declared["type"]] or value not in declared.get("allowedValues", [value]):
                raise ValueError(f"{name}: {value!r}")
            if not declared.get("minValue", value) <= value <= declared.get("maxValue", value):
                raise ValueError(f"{name}: {value!r}")
            self._parameters[name] = value

    def value(self, written: Any) -> Any:
        """What stands in the template, with every expression worked out."""
        if isinstance(written, dict):
            return {key: self.value(value) for key, value in written.items()}
        if isinstance(written, list):
            return [self.value(value) for value in written]
        if isinstance(written, str) and re.fullmatch(r"\[(?!\[).*\]", written, re.DOTALL):
            tokens = list(_TOKEN.finditer(written[1:-1]))
            assert "".join(found[0] for found in tokens).strip() == written[1:-1].strip(), written
            result, rest = self._expression(tokens)
            assert rest == [], written
            return result
        return written

    def _expression(self, tokens: list[re.Match[str]]) -> tuple[Any, list[re.Match[str]]]:
        head, rest = tokens[0], tokens[1:]
        if head["text"]:
            return head["text"][1:-1].replace("''", "'"), rest
        if head["name"] not in self._functions:
            raise LookupError(f"no such function: {head[0]}")
        assert rest[0]["mark"] == "("
        rest, arguments = rest[1:], []
        while rest[0]["mark"] != ")":
            argument, rest = self._expression(rest)
            arguments.append(argument)
            rest = rest[1:] if rest[0]["mark"] == "," else rest
        result, rest = self._functions[head["name"]](*arguments), rest[1:]
        while rest and rest[0]["mark"] == ".":
            result, rest = result[rest[1]["name"]], rest[2:]
        return result, rest

    def _known(self, kind: str, values: Mapping[str, Any], name: str) -> Any:
        self.read.add((kind, name))
        return values[name]
