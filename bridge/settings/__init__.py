"""Takes the environment and secret files, gives Settings: every value typed, every mistake found at once.

    environment ─┐                      ┌─ syntax      a text → its value
    files ───────┼─ sources ─▶ table ───┤                                  ─▶ Settings
    options ─────┘                      └─ connection  credentials → where to post

Only ``cli`` and ``daemon`` read Settings; all others receive plain values.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.errors import ConfigurationError, Finding, Severity
from bridge.settings import sources, syntax
from bridge.settings.connection import Authentication, Connection, missing, resolve
from bridge.settings.sources import Given
from bridge.settings.syntax import Address, Wrong
from bridge.settings.table import Described, Settings, describe

__all__ = ["Address", "Authentication", "Connection", "Described", "Settings", "describe", "load", "missing"]

SECRETS_DIR = Path("/run/secrets")  # where Docker and Podman mount secrets
STATE_DIR = Path("/var/lib/bridge")
METRICS_FILES = (
    Path("/etc/bridge/metrics.json"),
    Path("config/metrics.json"),
    Path(__file__).parents[2] / "config" / "metrics.json",  # a checkout, from any working directory
)


def load(
    environ: Mapping[str, str] | None = None,
    *,
    secrets_dir: Path = SECRETS_DIR,
    overrides: Mapping[str, Any] | None = None,
    need_credential: bool = True,
) -> Settings:
    """Read all settings: ``overrides`` (by field, from the command line) before ``environ`` before secret files.

    What is None, and a variable that is blank, counts as not given. Raises ConfigurationError with every finding;
    warnings alone are kept in ``Settings.findings``. ``need_credential`` says whether having nowhere to post is one.
    """
    environ = os.environ if environ is None else environ
    names = {setting.field: setting.names for setting in describe()}
    found, findings = sources.read(environ, secrets_dir, [name for each in names.values() for name in each])
    given = {
        field: next(found[name] for name in each if name in found)
        for field, each in names.items()
        if not found.keys().isdisjoint(each)
    }
    for field, value in (overrides or {}).items():
        if value is not None:
            option = f"--{field.replace('_', '-')}"
            given[field] = Given(option, str(value), option, "option")

    connection, remarks = resolve([found[name] for name in names["connection"] if name in found])
    findings += remarks
    if need_credential and "connection" not in given and not _is_on(given.get("sandbox")):
        findings.append(missing(environ))
    values: dict[str, Any] = {
        "metrics_file": _metrics_file(METRICS_FILES),
        "state_dir": _state_dir(environ, STATE_DIR),
        **{field: item.text for field, item in given.items()},
        "connection": connection,
    }
    try:
        settings = Settings(**values)
    except ValidationError as error:
        findings += _wrong(error, {field: given[field].place if field in given else names[field][0] for field in names})
        raise ConfigurationError(findings) from None  # the chain would lead to values, secrets among them
    findings += _doubts(settings, given)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise ConfigurationError(findings)
    return settings.model_copy(
        update={
            **_identity(settings, given),
            "findings": tuple(findings),
            "origins": {field: (item.name, item.source) for field, item in given.items()},
        }
    )


def _is_on(given: Given | None) -> bool:
    """Whether the sandbox is wanted; where that cannot be told, a finding says so already."""
    try:
        return given is not None and syntax.flag(given.text)
    except Wrong:
        return True


def _wrong(error: ValidationError, places: Mapping[str, str]) -> Iterator[Finding]:
    for detail in error.errors(include_url=False, include_input=False):
        field, cause = str(detail["loc"][0]), detail.get("ctx", {}).get("error")
        place = places.get(field, field)
        yield Finding(place, cause.problem, cause.remedy) if isinstance(cause, Wrong) else Finding(place, detail["msg"])


def _doubts(settings: Settings, given: Mapping[str, Given]) -> Iterator[Finding]:
    """Warnings about what is valid and probably not meant."""
    if settings.sandbox and settings.connection:
        problem = f"is on, so that nothing goes to Azure, although {given['connection'].place} is given"
        yield Finding(given["sandbox"].place, problem, "remove one of them", Severity.WARNING)


def _identity(settings: Settings, given: Mapping[str, Given]) -> dict[str, Any]:
    """Service name and resource attributes, each with what the other says (OpenTelemetry, "Resource SDK")."""
    attributes = {"service.instance.id": socket.gethostname(), **settings.resource_attributes}
    if "service_name" in given or "service.name" not in attributes:
        attributes["service.name"] = settings.service_name
    return {"service_name": attributes["service.name"], "resource_attributes": attributes}


def _metrics_file(candidates: Sequence[Path]) -> Path:
    return next(filter(Path.exists, candidates), candidates[0])


def _state_dir(environ: Mapping[str, str], system: Path) -> Path:
    """The system's directory where it is there or can be made, else the user's own (XDG Base Directory)."""
    if system.exists() or os.access(system.parent, os.W_OK):
        return system
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # as that specification asks
        home = Path(environ.get("HOME", ""))
        # A user without a home is told about the system's directory, when it cannot be written.
        state = home / ".local" / "state" if home.is_absolute() else system.parent
    return state / "triton-bridge" if state != system.parent else system
