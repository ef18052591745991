"""Takes credentials as people paste them, gives one connection string that every parser takes. Pure.

The grammar is Azure's ("Connection strings in Application Insights", Azure Monitor documentation); the azure exporter's
own parser is narrower: it refuses a ``;`` at the end, capital letters in the key, spaces, and ``=`` in a value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from bridge.errors import Finding, Severity
from bridge.settings.sources import Given
from bridge.settings.syntax import Wrong, url

CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
KEYS = ("INSTRUMENTATION_KEY", "APPINSIGHTS_INSTRUMENTATIONKEY", "AML_APP_INSIGHTS_KEY")
GLOBAL_ENDPOINT = "https://dc.services.visualstudio.com"

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WRAPPING = " \t\r\n\"'"  # environment files for Docker keep quotes as part of the value
_OVERVIEW = "the Azure portal shows it on the resource's Overview page"


@dataclass(frozen=True, repr=False)
class Connection:
    """Where to post, and under which key; ``string`` is both as the azure exporter takes them.

    ``str()`` and ``repr()`` show four characters of the key and no more.
    """

    instrumentation_key: str
    ingestion_endpoint: str
    string: str

    def __str__(self) -> str:
        return f"InstrumentationKey={self.instrumentation_key[:4]}…;IngestionEndpoint={self.ingestion_endpoint}"

    def __repr__(self) -> str:
        return f"Connection({self})"


class Authentication(NamedTuple):
    """Entra ID: the client of a user-assigned managed identity, None for the system-assigned one."""

    client_id: str | None


def resolve(given: Sequence[Given]) -> tuple[Connection | None, list[Finding]]:
    """The connection that the first of the given credentials names, and everything to be said about all of them."""
    if not given:
        return None, []
    first, *others = given
    connection, wrong = _read(first.text)
    if connection is None:
        return None, [Finding(first.place, problem.problem, problem.remedy) for problem in wrong]
    findings = [*_remarks(first)]
    for other in others:
        same, _ = _read(other.text)
        if same is None or same.instrumentation_key != connection.instrumentation_key:
            problem = f"is not used: {first.place} wins, and names another key"
            findings.append(Finding(other.place, problem, "remove one of them", Severity.WARNING))
    return connection, findings


def missing(environ: Iterable[str]) -> Finding:
    """What to say where nothing names a resource, with what was perhaps meant to, among the environment's names."""
    seen = []
    for name in sorted(environ):
        bare = name.strip(_WRAPPING + "{}<>")
        if _GUID.fullmatch(bare.lower()):
            seen.append(f"a variable has a key as its name ({bare[:4]}…)")
        elif name in {CONNECTION_STRING, *KEYS}:
            seen.append(f"{name} is empty")
        elif difflib.get_close_matches(name.upper(), [CONNECTION_STRING, *KEYS], n=1, cutoff=0.85):
            seen.append(f"{name} is not a name that is read")
    return Finding(
        CONNECTION_STRING,
        "; ".join(["no resource is named to post to", *seen]),
        f"set {CONNECTION_STRING} ({_OVERVIEW}), or INSTRUMENTATION_KEY, or put either into a file of its name in "
        "/run/secrets; BRIDGE_SANDBOX=true needs none. Docker wants NAME=VALUE: --env INSTRUMENTATION_KEY=<key>",
    )


def read_authentication(text: str) -> Authentication:
    """``Authorization=AAD[;ClientId=…]``, the notation that all of Azure's exporters share."""
    parts, wrong = _parts(text)
    if wrong or parts.get("authorization", "").lower() != "aad" or parts.keys() - {"authorization", "clientid"}:
        raise Wrong("is not understood", "write Authorization=AAD, or Authorization=AAD;ClientId=<client id>")
    return Authentication(parts.get("clientid"))


def _remarks(given: Given) -> Iterable[Finding]:
    """Warnings about a credential that works: a key where a string belongs, a string where a key does."""
    is_key, in_place_of_string = "=" not in given.text, given.name == CONNECTION_STRING
    if is_key:
        problem = "holds a key alone" if in_place_of_string else "a key alone posts to Azure's global endpoint"
        problem += ", which Azure no longer supports since 31 March 2025"
        yield Finding(given.place, problem, f"give {CONNECTION_STRING}; {_OVERVIEW}", Severity.WARNING)
    elif "endpoint" not in given.text.lower():  # neither IngestionEndpoint nor EndpointSuffix, nor a part of the one
        problem = "names no IngestionEndpoint, so that Azure's global endpoint is posted to"
        yield Finding(given.place, problem, f"copy the whole string; {_OVERVIEW}", Severity.WARNING)
    elif not in_place_of_string:
        yield Finding(given.place, "holds a connection string", f"name it {CONNECTION_STRING}", Severity.WARNING)


def _read(text: str) -> tuple[Connection | None, list[Wrong]]:
    """A connection, or else all that is wrong."""
    parts, wrong = _parts(text) if "=" in text else ({"instrumentationkey": text.strip(_WRAPPING + ";")}, [])
    if parts.get("authorization", "ikey").lower() != "ikey":
        remedy = "leave Authorization out; for Entra ID set APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
        wrong.append(Wrong("Authorization can only be ikey in a connection string", remedy))
    key, endpoint = "", ""
    try:
        key = _key(parts.get("instrumentationkey", ""))
    except Wrong as error:
        wrong.append(error)
    try:
        endpoint = _endpoint(parts)
    except Wrong as error:
        wrong.append(Wrong(f"its IngestionEndpoint: {error.problem}", f"copy the string again; {_OVERVIEW}"))
    if wrong:
        return None, wrong
    string = f"InstrumentationKey={key};IngestionEndpoint={endpoint}"
    if audience := parts.get("aadaudience"):  # Entra ID in Azure's sovereign clouds
        string += f";AADAudience={quote(audience, safe=':/%')}"
    return Connection(key, endpoint, string), []


def _parts(text: str) -> tuple[dict[str, str], list[Wrong]]:
    """``Name=value;…`` by lower-case name, without those that are empty; and all that is not so."""
    parts, wrong = {}, []
    for number, part in enumerate(text.strip(_WRAPPING).split(";"), start=1):
        name, equals, value = (piece.strip(_WRAPPING) for piece in part.partition("="))
        if equals and value:
            parts[name.lower()] = value
        elif name and not equals:
            wrong.append(Wrong(f"part {number} has no '='", f"copy the string again; {_OVERVIEW}"))
    return parts, wrong


def _key(text: str) -> str:
    """An instrumentation key in lower case."""
    if not text:
        raise Wrong("names no InstrumentationKey", f"copy the whole string; {_OVERVIEW}")
    key = text.strip("{}").lower()
    if not _GUID.fullmatch(key):
        shape = "a key looks like 00000000-0000-0000-0000-000000000000"
        remedy = f"put the key itself in the place of {text[0]}…; {shape}" if text[0] in "{<$%[" else shape
        raise Wrong(f"'{text[:4]}…' ({len(text)} characters) is not an instrumentation key", remedy)
    return key


def _endpoint(parts: dict[str, str]) -> str:
    """The ingestion endpoint: given, or made of EndpointSuffix and Location, or the global one."""
    given = parts.get("ingestionendpoint")
    if given is None and "endpointsuffix" in parts:
        location = f"{parts['location']}." if "location" in parts else ""
        given = f"https://{location}dc.{parts['endpointsuffix'].strip('./')}"
    if given is None:
        return GLOBAL_ENDPOINT
    return url(given if "://" in given else f"https://{given}")
