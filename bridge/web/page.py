"""Takes a snapshot, gives the status page: HTML that stands for itself, without scripts too.

Its style, its script and its icon are files beside this module; it needs nothing from elsewhere.
"""

from __future__ import annotations

from bridge.points import Outcome, Report, Settlement
from bridge.status import Snapshot
from bridge.web import charts, tables
from bridge.web.markup import Content, Html, join, tag
from bridge.web.writing import ago, clock, code, coming, length, some, time, volume, whole

_LISTED = 200  # stretches of the timeline


def page(snapshot: Snapshot) -> str:
    """The whole page."""
    about, words = snapshot.about, snapshot.state.words
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{words} · triton-bridge {about.instance}".strip()),
        tag("link", rel="icon", href="icon.svg"),
        tag("link", rel="stylesheet", href="page.css"),
        tag("script", src="page.js", defer=True),
    )
    header = tag(
        "header",
        tag("p", tag("strong", "triton-bridge"), f" {about.version}", class_="brand"),
        tag("p", " · ".join(filter(None, (about.role, about.instance))), class_="who"),
        tag("p", "As of ", time(snapshot.now, snapshot.now), "; all times are UTC.", class_="when"),
        tag("p", id="lost", role="alert", hidden=True),
        tag("p", id="said", role="status", class_="unseen"),
    )
    main = tag(
        "main",
        _state(snapshot),
        _troubles(snapshot),
        _facts(snapshot),
        _timeline(snapshot),
        tables.account(snapshot),
        tables.metrics(snapshot),
        tables.rejections(snapshot),
        tables.cycles(snapshot),
        _azure(snapshot),
        _about(snapshot),
    )
    footer = tag(
        "footer",
        tag("p", _link("status.json", "all of this as JSON"), " · ", _link("metrics", "own metrics, for Prometheus")),
        tag("noscript", tag("p", "Without scripts this page stands still: ", _link("./", "load it again"), ".")),
    )
    body = tag("body", header, main, footer)
    return "<!doctype html>" + tag("html", head, body, lang="en", data_version=about.version).text


def _state(snapshot: Snapshot) -> Html:
    state, now = snapshot.state, snapshot.now
    tone = charts.TONES[state]
    since = tag("p", "since ", time(snapshot.since, now), f", for {length(now - snapshot.since)}", class_="since")
    said = [
        tag("p", tag("strong", what), " ", text)
        for what, text in (
            ("What is known:", snapshot.detail),
            ("What to do:", state.remedy),
            ("Without a series now:", some(snapshot.absent)),
        )
        if text
    ]
    told = tag("div", tag("h1", state.words), since, *said)
    return tag("section", charts.shape(tone), told, class_=f"state {tone.value}", aria_label="State")


def _troubles(snapshot: Snapshot) -> Html:
    if not snapshot.troubles:
        return join(())
    tone = charts.Tone.BAD
    listed = tag("ul", *(tag("li", trouble) for trouble in snapshot.troubles))
    told = tag("div", tag("h2", "Needs a look", id="troubles"), listed)
    return tag("section", charts.shape(tone), told, class_=f"state {tone.value} small", aria_labelledby="troubles")


def _facts(snapshot: Snapshot) -> Html:
    now, account = snapshot.now, snapshot.memory.account
    newest = snapshot.reports[0] if snapshot.reports else None
    waiting, oldest = account.cycles[Settlement.WAITING], account.oldest_waiting
    delivered = account.last_delivered
    facts: list[tuple[str, Content, str]] = [
        (
            "Last cycle",
            time(newest.time if newest else None, now, "none yet"),
            _done(newest) if newest else "",
        ),
        ("Next cycle", time(snapshot.next_cycle, now), coming(snapshot.next_cycle, now)),
        ("Newest in Azure", time(delivered, now, "nothing yet"), "" if delivered is None else ago(delivered, now)),
        (
            "Waiting",
            "nothing" if oldest is None else f"{whole(waiting)} cycle{'s' if waiting > 1 else ''}",
            "" if oldest is None else f"the oldest of {clock(oldest, now)}, {ago(oldest, now)}",
        ),
        ("Volume a month", *_volume(snapshot)),
    ]
    listed = (tag("div", tag("dt", name), tag("dd", what), note and tag("dd", note)) for name, what, note in facts)
    return tag(
        "section",
        tag("h2", "Now", class_="unseen", id="now"),
        tag("dl", *listed),
        class_="facts",
        aria_labelledby="now",
    )


def _done(report: Report) -> str:
    """What a cycle did, in a few words."""
    read = f"{whole(report.read)} point{'' if report.read == 1 else 's'} read, {whole(report.outcomes.get(Outcome.ACCEPTED, 0))} accepted"
    if report.obstacle is not None:
        read = "it could not be read"
    elif report.settlement is Settlement.NO_DATA:
        read = "there was no data"
    return f"{read}, in {whole(round(report.seconds * 1000))} ms"


def _volume(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.monthly_bytes is None:
        return "not known yet", "the first cycle that is read tells"
    return f"about {volume(snapshot.monthly_bytes)}", "as Azure bills it, if every cycle is like the newest"


def _timeline(snapshot: Snapshot) -> Html:
    now, stretches = snapshot.now, snapshot.memory.account.timeline
    totals = charts.totals(stretches, now)
    if not totals:
        return tables.section("Last 48 hours", "timeline", tag("p", "Nothing was due yet.", class_="none"))
    summary = ", ".join(f"{charts.FATES[fate]} {length(seconds)}" for fate, seconds in totals.items())
    legend = (
        tag("li", charts.swatch(fate), f" {charts.FATES[fate]} ", tag("span", length(seconds), class_="note"))
        for fate, seconds in totals.items()
    )
    drawn = charts.drawn(stretches, now)
    rows = [
        (time(start, now), time(end, now), length(end - start), words)
        for start, end, _, words in reversed(drawn[-_LISTED:])
    ]
    more = f"The newest {_LISTED} of {len(drawn)} are listed." if len(drawn) > _LISTED else ""
    listed = tables.table(
        "What became of each stretch, newest first", ("from", "to", "length", "what became of it"), rows
    )
    return tables.section(
        "Last 48 hours",
        "timeline",
        charts.timeline(drawn, now, f"What became of the last 48 hours: {summary}"),
        tag("ul", *legend, class_="legend"),
        tables.folded("stretches", "As a table", listed, more and tag("p", more, class_="note")),
    )


def _azure(snapshot: Snapshot) -> Html:
    return tables.section(
        "See it in Azure",
        "azure",
        tag("p", "In the logs of the Application Insights resource, this line of KQL shows what arrived:"),
        tag("pre", code(snapshot.about.query), tabindex=0, id="query", aria_label="KQL"),
    )


def _about(snapshot: Snapshot) -> Html:
    about, now = snapshot.about, snapshot.now
    versions = {"triton-bridge": about.version, **about.versions}
    facts: list[tuple[str, Content]] = [
        ("Selection", code(snapshot.selection) if snapshot.selection else ""),
        ("read from", code(about.metrics_file) if about.metrics_file else ""),
        ("last reloaded", time(snapshot.selected, now, "")),
        ("Interval", length(about.interval)),
        ("Running since", time(snapshot.started, now)),
        ("Versions", " · ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    listed = (tag("div", tag("dt", name), tag("dd", what)) for name, what in facts if what)
    return tables.section("Selection and versions", "about", tag("dl", *listed, class_="pairs"))


def _link(where: str, text: str) -> Html:
    return tag("a", text, href=where)
