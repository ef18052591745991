"""The layout that the documents promise: one vendor, one file; no module past 300 lines. (Rows: ``lint-imports``.)"""

import ast
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[2] / "bridge"
HOMES = {
    "prometheus_api_client": {"prometheus"},
    "azure": {"delivery"},
    "apscheduler": {"daemon"},
    "pydantic_settings": {"settings"},
    "tenacity": {"retry"},
    "prometheus_client": {"instruments", "web", "exposition"},  # declared, rendered, and Triton's parsed
    "typer": {"cli"},
    "rich": {"cli"},
}
MODULES = sorted(BRIDGE.rglob("*.py"))


def imported(module: Path) -> set[str]:
    """The root packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("vendor", HOMES)
def test_each_vendor_is_known_to_one_place(vendor: str) -> None:
    users = {module.relative_to(BRIDGE).with_suffix("").parts[0] for module in MODULES if vendor in imported(module)}

    assert users == HOMES[vendor]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(BRIDGE)))
def test_a_module_begins_with_what_it_takes_and_gives_and_stays_short(module: Path) -> None:
    text = module.read_text(encoding="utf-8")

    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize(
    "pure",
    [
        *("queries.py", "answers.py", "matchers.py", "sightings.py", "envelopes.py", "account.py", "times.py"),
        *(f"telemetry/{name}.py" for name in ("__init__", "gains", "pools", "dimensions", "nouns")),
        *(f"selection/{name}.py" for name in ("entry", "document", "rules", "parsing")),
        *(f"backlog/{name}.py" for name in ("spans", "eras", "held", "stretch", "ledger", "journal")),
    ],
)
def test_the_core_is_pure(pure: str) -> None:
    assert imported(BRIDGE / pure).isdisjoint({"time", "os", "socket", "requests", "random", "pathlib", "threading"})
