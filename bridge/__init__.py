"""Carry chosen metrics of a Triton server from Prometheus into Azure Application Insights.

    metrics.json ─ selection ─▶ queries ─▶ prometheus ─▶ telemetry ─▶ envelopes ─▶ delivery ─▶ Application Insights
                                   ▲                                                   │
                                   └───────────────────── backlog ◀────────────────────┘

A *cycle* is the work for one *grid* time T, a multiple of the interval since the epoch: ask, translate, post,
record. ``cycle`` is the only module that joins the stages; they do not know one another. A *point* is one value
of one series at one T; what became of it is its ``Outcome``.
"""

__version__ = "0.1.0"
