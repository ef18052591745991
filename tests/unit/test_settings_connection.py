"""Credentials: what people paste becomes a string that every parser takes, or a finding that says what to do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.monitor.opentelemetry.exporter._connection_string_parser import ConnectionStringParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError, Finding, Severity
from bridge.settings import Settings, load
from bridge.settings.connection import KEYS, Connection, resolve
from bridge.settings.sources import Given

KEY = "1a2b3c4d-0000-4000-8000-00000000000f"
OTHER_KEY = "9a2b3c4d-0000-4000-8000-00000000000f"
GLOBAL = "https://dc.services.visualstudio.com"
REGIONAL = "https://westeurope-5.in.applicationinsights.azure.com"
STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"


@pytest.fixture(autouse=True)
def _no_azure_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter's parser looks into the environment by itself."""
    for name in (STRING, "APPINSIGHTS_INSTRUMENTATIONKEY"):
        monkeypatch.delenv(name, raising=False)


def read(**environ: str) -> Settings:
    return load(environ, secrets_dir=Path("/none"))


def findings_of(call: Callable[[], object]) -> tuple[Finding, ...]:
    with pytest.raises(ConfigurationError) as caught:
        call()
    return caught.value.findings


def resolve_text(text: str) -> tuple[Connection | None, list[Finding]]:
    return resolve([Given(STRING, text, STRING, "environment")])


# -- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        (f"InstrumentationKey={KEY};IngestionEndpoint={REGIONAL}", REGIONAL),
        (
            f"InstrumentationKey={KEY};IngestionEndpoint={REGIONAL}/;LiveEndpoint=https://live/;ApplicationId=x",
            REGIONAL,
        ),
        (f"InstrumentationKey={KEY};IngestionEndpoint={REGIONAL}/;;", REGIONAL),
        (f"  InstrumentationKey = {KEY} ; IngestionEndpoint = {REGIONAL}// ; ", REGIONAL),
        (f'"InstrumentationKey={KEY};IngestionEndpoint={REGIONAL}/"', REGIONAL),
        (f"'InstrumentationKey=\"{KEY}\"'", GLOBAL),
        (f"INSTRUMENTATIONKEY={KEY.upper()};ingestionendpoint={REGIONAL.upper()}", REGIONAL),
        (f"InstrumentationKey={{{KEY}}}", GLOBAL),
        (f"InstrumentationKey={KEY};Authorization=IKEY", GLOBAL),
        (f"InstrumentationKey={KEY};IngestionEndpoint=;EndpointSuffix=", GLOBAL),
        (f"InstrumentationKey={KEY};IngestionEndpoint=localhost:8080", "https://localhost:8080"),
        (f"InstrumentationKey={KEY};IngestionEndpoint=http://[::1]:8080/a", "http://[::1]:8080/a"),
        (f"InstrumentationKey={KEY};IngestionEndpoint=https://a/b=c;Token=d==", "https://a/b%3Dc"),
        (f"InstrumentationKey={KEY};EndpointSuffix=ai.contoso.com;", "https://dc.ai.contoso.com"),
        (f"InstrumentationKey={KEY};EndpointSuffix=.ai.contoso.com/;Location=west", "https://west.dc.ai.contoso.com"),
        (f"InstrumentationKey={KEY};EndpointSuffix=ai.contoso.com;IngestionEndpoint={REGIONAL}", REGIONAL),
        (f"InstrumentationKey={KEY};Location=west", GLOBAL),
    ],
)
def test_a_connection_string_is_read_as_people_paste_it(text: str, endpoint: str) -> None:
    loaded = read(**{STRING: text})

    assert loaded.connection == Connection(KEY, endpoint, f"InstrumentationKey={KEY};IngestionEndpoint={endpoint}")
    assert bool(loaded.findings) == ("endpoint" not in text.lower())


@pytest.mark.parametrize("rest", ["", ";IngestionEndpont=https://west.in.applicationinsights.azure.com/"])
def test_a_string_that_names_no_endpoint_is_warned_of(rest: str) -> None:
    (finding,) = read(**{STRING: f"InstrumentationKey={KEY}{rest}"}).findings

    assert finding.severity is Severity.WARNING
    assert "names no IngestionEndpoint" in finding.problem


def test_the_audience_of_a_sovereign_cloud_is_kept() -> None:
    """Its slash at the end belongs to it: the exporter asks for a token for exactly that text."""
    connection, _ = resolve_text(f"InstrumentationKey={KEY};AADAudience=https://monitor.azure.us/")

    assert connection
    assert ConnectionStringParser(connection.string).aad_audience == "https://monitor.azure.us/"


_noise = st.text(st.sampled_from(" \t\"'"), max_size=3)
_case = st.sampled_from([str, str.lower, str.upper, str.title])


@st.composite
def _pasted(draw: st.DrawFn) -> str:
    """A connection string with the noise that copying adds, parts that we know and parts that we do not."""
    name = st.one_of(
        st.sampled_from(["IngestionEndpoint", "EndpointSuffix", "Location", "AADAudience", "Authorization"]),
        st.text(max_size=8),
    )
    value = st.one_of(
        st.sampled_from([REGIONAL, f"{REGIONAL}/", "localhost:80", "http://a/b=c/", "ai.contoso.com", "ikey", ""]),
        st.text(max_size=12),
    )
    key = ("InstrumentationKey", str(draw(st.uuids())))
    parts = draw(st.permutations([key, *draw(st.lists(st.tuples(name, value), max_size=4))]))
    return ";".join(
        f"{draw(_noise)}{draw(_case)(name)}{draw(_noise)}={draw(_noise)}{draw(_case)(value)}{draw(_noise)}"
        for name, value in parts
    ) + draw(st.sampled_from(["", ";", ";;", " ; "]))


@given(st.one_of(_pasted(), st.uuids().map(str), st.text(max_size=30)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
def test_what_is_taken_is_taken_by_the_exporters_own_parser(text: str) -> None:
    connection, findings = resolve_text(text)

    if connection is None:
        assert {finding.severity for finding in findings} == {Severity.ERROR}
    else:
        parsed = ConnectionStringParser(connection.string)
        assert (parsed.instrumentation_key, parsed.endpoint) == (
            connection.instrumentation_key,
            connection.ingestion_endpoint,
        )


@given(_pasted())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_normalised_string_stays_as_it_is(text: str) -> None:
    connection, _ = resolve_text(text)

    if connection:
        assert resolve_text(connection.string) == (connection, [])


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("text", [KEY, f" {KEY.upper()}\n", f'"{KEY}"', f"{{{KEY}}}", f"{KEY};"])
def test_a_key_alone_means_the_global_endpoint_and_one_warning(name: str, text: str) -> None:
    loaded = read(**{name: text})

    assert loaded.connection == Connection(KEY, GLOBAL, f"InstrumentationKey={KEY};IngestionEndpoint={GLOBAL}")
    (warning,) = loaded.findings
    assert (warning.place, warning.severity) == (name, Severity.WARNING)
    assert "31 March 2025" in warning.problem
    assert "Overview page" in warning.remedy


def test_a_bare_key_in_place_of_the_string_is_taken_with_a_warning() -> None:
    loaded = read(**{STRING: KEY})

    assert loaded.connection == Connection(KEY, GLOBAL, f"InstrumentationKey={KEY};IngestionEndpoint={GLOBAL}")
    (warning,) = loaded.findings
    assert "holds a key alone" in warning.problem


def test_a_connection_string_in_place_of_a_key_is_taken_with_a_warning() -> None:
    loaded = read(INSTRUMENTATION_KEY=f"InstrumentationKey={KEY};IngestionEndpoint={REGIONAL}/")

    assert loaded.connection
    assert loaded.connection.ingestion_endpoint == REGIONAL
    (warning,) = loaded.findings
    assert warning.remedy == f"name it {STRING}"


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations([STRING, *KEYS], 2)))
def test_the_string_wins_over_the_keys_and_these_in_their_order(first: str, second: str) -> None:
    """Whatever the order in the environment; a conflict is a warning about the one that is not used."""
    loaded = read(**{second: OTHER_KEY, first: f"InstrumentationKey={KEY}"})

    assert loaded.connection
    assert loaded.connection.instrumentation_key == KEY
    assert loaded.findings[-1].place == second
    assert f"{first} wins" in loaded.findings[-1].problem


def test_the_same_key_twice_is_no_conflict() -> None:
    string = f"InstrumentationKey={KEY};IngestionEndpoint=https://x"

    assert read(**{STRING: string, "INSTRUMENTATION_KEY": KEY.upper()}).findings == ()


def test_a_wrong_string_is_an_error_even_beside_a_good_key() -> None:
    (finding,) = findings_of(lambda: read(**{STRING: "InstrumentationKey=x", "INSTRUMENTATION_KEY": KEY}))

    assert finding.place == STRING


# -- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("InstrumentationKey=hello-world", ["'hell…' (11 characters) is not an instrumentation key"]),
        (f"InstrumentationKey={KEY[:-1]}", ["'1a2b…' (35 characters) is not an instrumentation key"]),
        (KEY.replace("-", ""), ["'1a2b…' (32 characters) is not an instrumentation key"]),
        (f"IngestionEndpoint={REGIONAL}", ["names no InstrumentationKey"]),
        ("''", ["names no InstrumentationKey"]),
        (f"InstrumentationKey={KEY};IngestionEndpoint", ["part 2 has no '='"]),
        (f"InstrumentationKey={KEY};Authorization=AAD", ["Authorization can only be ikey in a connection string"]),
        (f"InstrumentationKey={KEY};IngestionEndpoint=ftp://a", ["'ftp://a' begins with neither http:// nor https://"]),
        (f"InstrumentationKey={KEY};IngestionEndpoint=https://a b", ["'https://a b' names no host"]),
        (f"InstrumentationKey={KEY};EndpointSuffix=https://a", ["'https://dc.https://a' names no host"]),
        (
            "InstrumentationKey=x;Authorization=AAD;IngestionEndpoint=https://",
            ["Authorization can only be ikey", "is not an instrumentation key", "names no host"],
        ),
    ],
)
def test_all_that_is_wrong_with_a_string_is_said(text: str, problems: list[str]) -> None:
    findings = findings_of(lambda: read(**{STRING: text}))

    assert [finding.place for finding in findings] == [STRING] * len(problems)
    for finding, problem in zip(findings, problems, strict=True):
        assert problem in finding.problem
        assert finding.remedy


def test_a_finding_says_how_a_key_looks() -> None:
    (finding,) = findings_of(lambda: read(INSTRUMENTATION_KEY="nonsense"))

    assert finding.remedy == "a key looks like 00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("text", ["{INSTRUMENTATION_KEY}", "<your key>", "${KEY}", "$KEY", "[key]", "%KEY%"])
def test_a_placeholder_is_told_as_one(text: str) -> None:
    (finding,) = findings_of(lambda: read(INSTRUMENTATION_KEY=text))

    assert "put the key itself in the place of" in finding.remedy


# -- nothing given ---------------------------------------------------------------------------------------------------


def test_without_any_credential_the_ways_to_give_one_are_told_at_once() -> None:
    (finding,) = findings_of(read)

    for way in (STRING, "INSTRUMENTATION_KEY", "/run/secrets", "BRIDGE_SANDBOX=true"):
        assert way in finding.remedy
    assert "Docker wants NAME=VALUE: --env INSTRUMENTATION_KEY=<key>" in finding.remedy


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({"INSTRUMENTATION_KEY": ""}, "INSTRUMENTATION_KEY is empty"),
        ({STRING: " "}, f"{STRING} is empty"),
        ({KEY: ""}, "a variable has a key as its name (1a2b…)"),
        ({f"{{{KEY.upper()}}}": ""}, "a variable has a key as its name (1A2B…)"),
        ({"{INSTRUMENTATION_KEY}": KEY}, "{INSTRUMENTATION_KEY} is not a name that is read"),
        ({"instrumentation_key": KEY}, "instrumentation_key is not a name that is read"),
        ({"APPINSIGHTS_INSTRUMENTATION_KEY": KEY}, "APPINSIGHTS_INSTRUMENTATION_KEY is not a name that is read"),
    ],
)
def test_a_credential_in_the_wrong_place_is_pointed_out(environ: dict[str, str], hint: str) -> None:
    """``docker run --env '<key>'`` makes a variable with the key for its name."""
    (finding,) = findings_of(lambda: read(**environ))

    assert finding.problem == f"no resource is named to post to; {hint}"
    assert "--env INSTRUMENTATION_KEY=<key>" in finding.remedy
    assert KEY not in str(finding).lower()


def test_an_ordinary_environment_gives_no_hints() -> None:
    (finding,) = findings_of(lambda: read(PATH="/bin", HOME="/", HOSTNAME="a", PYTHON_VERSION="3"))

    assert finding.problem == "no resource is named to post to"


def test_the_sandbox_needs_no_credential() -> None:
    assert read(BRIDGE_SANDBOX="true").connection is None


def test_where_nothing_is_posted_no_credential_is_needed() -> None:
    assert load({}, secrets_dir=Path("/none"), need_credential=False).connection is None


def test_a_doubtful_sandbox_does_not_also_lack_a_credential() -> None:
    (finding,) = findings_of(lambda: read(BRIDGE_SANDBOX="maybe"))

    assert finding.place == "BRIDGE_SANDBOX"
