"""Takes a request that is not telemetry, gives what arrived: JSON for tests and tools, a page for a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from html import escape
from urllib.parse import parse_qs

from bridge.errors import ConfigurationError, Finding
from bridge.sandbox.endpoint import TRACK_PATHS, Endpoint
from bridge.sandbox.replies import HTML, TEXT, Reply, to_json
from bridge.sandbox.rules import Row, seconds

PAGE_ROWS = 200

_COLUMNS = ("timestamp", "name", "value", "valueCount", "valueMin", "valueMax", "customDimensions", "cloud_RoleName")

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>customMetrics – sandbox</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .8rem; border-bottom: 1px solid #ddd; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
td.dimensions {{ font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere; }}
</style></head><body>
<h1>customMetrics</h1>
<p>{summary}</p>
<table><thead><tr>{heads}</tr></thead><tbody>
{rows}
</tbody></table>
</body></html>
"""


def answer(endpoint: Endpoint, method: str, path: str, query: str, body: bytes, *, scriptable: bool) -> Reply:
    """The reply to any request but a track POST; ``scriptable``: POST /_script may change the replies to come."""
    routes: dict[str, dict[str, Callable[[], Reply]]] = {
        "/": {"GET": lambda: page(endpoint)},
        "/healthz": {"GET": lambda: health(endpoint)},
        "/_posts": {"GET": lambda: Reply(200, to_json([asdict(post) for post in endpoint.posts()]))},
        "/_rows": {"GET": lambda: rows(endpoint, query), "DELETE": lambda: clear(endpoint)},
        "/_script": {"POST": lambda: script(endpoint, body, scriptable=scriptable)},
    }
    method = "GET" if method == "HEAD" else method
    methods = ["POST"] if path in TRACK_PATHS else list(routes.get(path, ()))
    if not methods:
        return _text(404, f"Telemetry goes to POST {TRACK_PATHS[0]}. Also here: {', '.join(routes)}")
    if method not in methods:
        return replace(_text(405, f"{path} takes {', '.join(methods)}"), headers={"Allow": ", ".join(methods)})
    return routes[path][method]()


def rows(endpoint: Endpoint, query: str) -> Reply:
    """The rows, oldest first: ``name=`` this metric, ``since=`` this time (with Z) on, ``limit=`` the newest so many."""
    wanted = {field: values[-1] for field, values in parse_qs(query, keep_blank_values=True).items()}
    since, limit = wanted.get("since"), wanted.get("limit")
    start = None if since is None else seconds(since)
    findings = [
        Finding(f"/_rows?{field}", "unknown filter", "one of name, since, limit")
        for field in wanted
        if field not in ("name", "since", "limit")
    ]
    if since is not None and start is None:
        findings.append(Finding("/_rows?since", "is not a time", "write 2026-01-31T12:00:00Z"))
    if limit is not None and not (limit.isascii() and limit.isdecimal()):
        findings.append(Finding("/_rows?limit", "is not a whole number", "write limit=100"))
    if findings:
        return _text(400, "\n".join(map(str, findings)))
    found = [
        row
        for row in endpoint.rows()
        if wanted.get("name", row["name"]) == row["name"] and (start is None or _time(row) >= start)
    ]
    if limit is not None:
        found = found[max(0, len(found) - int(limit)) :]
    return Reply(200, to_json(found), headers={"X-Rows-Dropped": str(endpoint.counts().dropped_rows)})


def health(endpoint: Endpoint) -> Reply:
    """That it is up, and how much it holds."""
    return Reply(200, to_json({"status": "ok", **endpoint.counts()._asdict()}))


def clear(endpoint: Endpoint) -> Reply:
    """Forget what arrived."""
    endpoint.clear()
    return Reply(204)


def script(endpoint: Endpoint, body: bytes, *, scriptable: bool) -> Reply:
    """Take the script of next replies; what is wrong in it comes back as text, one line a finding."""
    if not scriptable:
        return _text(403, "This sandbox takes no script: start it with --scriptable")
    try:
        endpoint.script(json.loads(body))
    except ConfigurationError as error:
        return _text(400, str(error))
    except (ValueError, RecursionError) as error:
        return _text(400, str(Finding("script", f"is not JSON: {error}", "give a JSON list of objects, one a reply")))
    return Reply(200, to_json({"replies_left": endpoint.counts().replies_left}))


def page(endpoint: Endpoint) -> Reply:
    """The newest rows, newest first, as a page without scripts or anything from elsewhere."""
    counts = endpoint.counts()
    newest = endpoint.rows(PAGE_ROWS)[::-1]
    summary = f"{counts.rows:,} rows from {counts.posts:,} posts; here the newest {len(newest):,}."
    if counts.dropped_rows:
        summary += f" {counts.dropped_rows:,} older ones are no longer kept."
    text = _PAGE.format(
        summary=escape(f"{summary} As JSON: /_rows, /_posts."),
        heads="".join(f"<th>{column}</th>" for column in _COLUMNS),
        rows="\n".join(f"<tr>{''.join(map(_cell, (row[column] for column in _COLUMNS)))}</tr>" for row in newest),
    )
    return Reply(
        200, text.encode(), HTML, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    )


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        return f'<td class="number">{value:,.10g}</td>'
    if isinstance(value, dict):
        pairs = "<br>".join(escape(f"{key}={text}") for key, text in value.items())
        return f'<td class="dimensions">{pairs}</td>'
    return f"<td>{escape(str(value or ''))}</td>"


def _time(row: Row) -> float:
    at = seconds(row["timestamp"])
    assert at is not None  # rules let no other time in
    return at


def _text(status: int, line: str) -> Reply:
    return Reply(status, f"{line}\n".encode(), TEXT)
