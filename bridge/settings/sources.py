"""Takes the environment and a folder of secret files, gives what stands there under our names, and where."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from bridge.errors import Finding, Severity

Source = Literal["option", "environment", "file", "default"]

_PERMISSION = "give the bridge's user the right to read it, or remove it"


class Given(NamedTuple):
    """A value as it was written, the name that it stands under, and its place as findings name it."""

    name: str
    text: str
    place: str
    source: Source


def read(
    environ: Mapping[str, str], secrets_dir: Path, names: Collection[str]
) -> tuple[dict[str, Given], list[Finding]]:
    """What is given under each of the names, the environment before the files; empty is not given.

    A file counts whatever the case of its name; the line break at its end does not. Findings are files that cannot be
    read, and warnings of ``BRIDGE_`` names that nothing reads.
    """
    given = {name: Given(name, environ[name], name, "environment") for name in names if environ.get(name, "").strip()}
    findings = [*_unknown({name: name for name in environ}, names)]
    try:
        files = sorted(secrets_dir.iterdir()) if secrets_dir.is_dir() else []
    except OSError as error:
        return given, [*findings, Finding(str(secrets_dir), f"cannot be listed: {error.strerror}", _PERMISSION)]
    findings += _unknown({path.name.upper(): str(path) for path in files}, names)
    for path in files:
        name = path.name.upper()
        if name in names and name not in given:
            try:
                # Files made on Windows begin with a byte order mark.
                text = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
            except OSError as error:
                findings.append(Finding(str(path), f"cannot be read: {error.strerror}", _PERMISSION))
            except UnicodeDecodeError:
                findings.append(Finding(str(path), "is not text", "it must be UTF-8"))
            else:
                if text.strip():
                    given[name] = Given(name, text, str(path), "file")
    return given, findings


def _unknown(present: Mapping[str, str], names: Collection[str]) -> Iterator[Finding]:
    """Warnings of names that look like ours; Kubernetes' variables for a service named "bridge" are no mistake."""
    service = ("BRIDGE_SERVICE_", "BRIDGE_PORT") if "BRIDGE_SERVICE_HOST" in present else ()
    for name, place in present.items():
        upper = name.upper()
        if upper.startswith("BRIDGE_") and name not in names and not upper.startswith(service):
            known = [name.removeprefix("BRIDGE_") for name in names if name.startswith("BRIDGE_")]
            near = difflib.get_close_matches(upper.removeprefix("BRIDGE_"), known, n=1)
            remedy = f"did you mean BRIDGE_{near[0]}?" if near else "remove it, or see triton-bridge run --help"
            yield Finding(place, "is not a setting, and nothing reads it", remedy, Severity.WARNING)
