"""Settings: where values come from, what they may be, how mistakes are told, and that secrets stay secret."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import rich.pretty
from pydantic import ValidationError

import bridge.settings
from bridge.errors import ConfigurationError, Finding, Severity
from bridge.settings import Address, Settings, describe, load

ROOT = Path(__file__).parents[2]
KEY = "1a2b3c4d-0000-4000-8000-00000000000f"
STRING = f"InstrumentationKey={KEY};IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com"

Load = Callable[..., Settings]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secret files, empty."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def load_with(secrets: Path) -> Load:
    """``load`` with a sound credential beside the given variables; ``options`` stand for the command line."""

    def load_settings(environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
        given = {"APPLICATIONINSIGHTS_CONNECTION_STRING": STRING} | dict(environ or {})
        return load(given, secrets_dir=secrets, overrides=options)

    return load_settings


def findings_of(call: Callable[[], object]) -> tuple[Finding, ...]:
    with pytest.raises(ConfigurationError) as caught:
        call()
    return caught.value.findings


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_names_and_defaults_are_those_of_the_interface() -> None:
    """Fixed: people have them in their manifests."""
    assert {name: setting.default for setting in describe() for name in setting.names} == {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "",
        "INSTRUMENTATION_KEY": "",
        "APPINSIGHTS_INSTRUMENTATIONKEY": "",
        "AML_APP_INSIGHTS_KEY": "",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "",
        "OTEL_SERVICE_NAME": "triton",
        "OTEL_RESOURCE_ATTRIBUTES": "",
        "BRIDGE_PROMETHEUS_URL": "http://127.0.0.1:9090",
        "BRIDGE_PROMETHEUS_USERNAME": "",
        "BRIDGE_PROMETHEUS_PASSWORD": "",
        "BRIDGE_PROMETHEUS_BEARER_TOKEN": "",
        "BRIDGE_PROMETHEUS_HEADERS": "",
        "BRIDGE_PROMETHEUS_CA": "",
        "BRIDGE_TRITON_TARGET": "127.0.0.1:8002",
        "BRIDGE_TRITON_SINCE": "",
        "BRIDGE_SCRAPE_INTERVAL": "15s",
        "BRIDGE_METRICS_FILE": "/etc/bridge/metrics.json, else config/metrics.json",
        "BRIDGE_INTERVAL": "60s",
        "BRIDGE_SETTLE_DELAY": "5s",
        "BRIDGE_MATCH": "",
        "BRIDGE_STATE_DIR": "/var/lib/bridge, else the user's state directory",
        "BRIDGE_BACKFILL_LIMIT": "47h",
        "BRIDGE_MAX_SERIES": "20000",
        "BRIDGE_LISTEN": "127.0.0.1:9464",
        "BRIDGE_SANDBOX": "false",
        "BRIDGE_REQUIRED": "false",
        "BRIDGE_LOG_LEVEL": "info",
        "BRIDGE_LOG_FORMAT": "text",
    }


def test_every_setting_says_in_one_line_what_it_means() -> None:
    assert [setting.field for setting in describe() if not setting.meaning or "\n" in setting.meaning] == []


def test_no_secret_can_be_given_on_the_command_line() -> None:
    """Others see a process's arguments; what is no secret has an option named like its field."""
    options = {setting.field: setting.option for setting in describe()}

    assert [field for field, option in options.items() if not option] == [
        "connection",
        "prometheus_password",
        "prometheus_bearer_token",
        "prometheus_headers",
    ]
    assert options["prometheus_url"] == "--prometheus-url"


def test_switches_take_no_value_on_the_command_line() -> None:
    assert [setting.field for setting in describe() if setting.flag] == ["sandbox", "required"]


def test_the_defaults_become_typed_values(load_with: Load) -> None:
    settings = load_with()

    assert settings.prometheus_url == "http://127.0.0.1:9090"
    assert settings.triton_target == "127.0.0.1:8002"
    assert settings.scrape_interval == 15.0
    assert settings.interval == 60.0
    assert settings.settle_delay == 5.0
    assert settings.backfill_limit == 47 * 3600.0
    assert settings.max_series == 20000
    assert settings.listen == Address("127.0.0.1", 9464)
    assert settings.match == ""
    assert settings.prometheus_headers == {}
    assert settings.prometheus_ca is None
    assert (settings.entra, settings.entra_client_id) == (False, None)
    assert (settings.sandbox, settings.required) == (False, False)
    assert (settings.log_level, settings.log_format) == ("info", "text")
    assert settings.findings == ()


def test_settings_cannot_be_changed(load_with: Load) -> None:
    settings = load_with()

    with pytest.raises(ValidationError, match="frozen"):
        settings.interval = 1.0  # type: ignore[misc]


# -- where values come from ------------------------------------------------------------------------------------------


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
    monkeypatch.setenv("BRIDGE_INTERVAL", "30s")

    assert load(secrets_dir=secrets, need_credential=False).interval == 30.0


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch, load_with: Load) -> None:
    monkeypatch.setenv("BRIDGE_INTERVAL", "30s")

    assert load_with().interval == 60.0


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_counts_as_unset(load_with: Load, blank: str) -> None:
    assert load_with({"BRIDGE_INTERVAL": blank, "BRIDGE_SANDBOX": blank}) == load_with()


@pytest.mark.parametrize("name", ["BRIDGE_PROMETHEUS_PASSWORD", "bridge_prometheus_password"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_file_gives_its_variable_without_the_line_break(
    load_with: Load, secrets: Path, name: str, ending: str
) -> None:
    (secrets / name).write_bytes(f"\ufeff pass word {ending}".encode())

    settings = load_with({"BRIDGE_PROMETHEUS_USERNAME": "me"})

    assert settings.prometheus_password == " pass word "


def test_the_environment_wins_over_a_file(load_with: Load, secrets: Path) -> None:
    (secrets / "BRIDGE_INTERVAL").write_text("20s")

    assert load_with({"BRIDGE_INTERVAL": "30s"}).interval == 30.0


def test_an_option_wins_over_the_environment(load_with: Load) -> None:
    assert load_with({"BRIDGE_INTERVAL": "30s"}, interval="40s").interval == 40.0


def test_an_option_that_is_not_given_changes_nothing(load_with: Load) -> None:
    assert load_with({"BRIDGE_INTERVAL": "30s"}, interval=None).interval == 30.0


def test_an_option_may_be_typed_already(load_with: Load, tmp_path: Path) -> None:
    settings = load_with(interval=5, sandbox=True, state_dir=tmp_path, listen=Address("::1", 0))

    assert (settings.interval, settings.sandbox) == (5.0, True)
    assert (settings.state_dir, settings.listen) == (tmp_path, Address("::1", 0))


def test_a_missing_folder_of_secrets_is_no_folder(tmp_path: Path) -> None:
    assert load({"BRIDGE_SANDBOX": "1"}, secrets_dir=tmp_path / "none").findings == ()


def test_other_files_among_the_secrets_are_not_read(load_with: Load, secrets: Path) -> None:
    (secrets / "kubernetes.io").mkdir()
    (secrets / "tls.key").write_bytes(b"\xff")

    assert load_with().findings == ()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not text"),
    ],
    ids=["folder", "dangling link", "binary"],
)
def test_a_secret_file_that_cannot_be_read_is_a_finding(
    load_with: Load, secrets: Path, make: Callable[[Path], object], problem: str
) -> None:
    path = secrets / "BRIDGE_PROMETHEUS_BEARER_TOKEN"
    make(path)

    (finding,) = findings_of(load_with)

    assert (finding.place, finding.problem) == (str(path), problem)


def test_the_first_metrics_file_that_exists_is_the_default(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"

    assert bridge.settings._metrics_file([first, second]) == first
    second.touch()
    assert bridge.settings._metrics_file([first, second]) == second
    first.touch()
    assert bridge.settings._metrics_file([first, second]) == first


def test_the_metrics_file_of_a_checkout_is_found_from_anywhere(
    load_with: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge.settings, "METRICS_FILES", (tmp_path / "none", *bridge.settings.METRICS_FILES[1:]))
    monkeypatch.chdir(tmp_path)

    assert load_with().metrics_file == ROOT / "config" / "metrics.json"


def test_the_state_directory_is_the_systems_where_it_exists_or_can_be_made(tmp_path: Path) -> None:
    assert bridge.settings._state_dir({"HOME": "/home/me"}, tmp_path) == tmp_path
    assert bridge.settings._state_dir({"HOME": "/home/me"}, tmp_path / "new") == tmp_path / "new"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/triton-bridge"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, "/state/triton-bridge"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, "/home/me/.local/state/triton-bridge"),
        ({}, "/none/such/bridge"),
    ],
)
def test_else_the_state_directory_is_the_users(environ: dict[str, str], expected: str) -> None:
    assert bridge.settings._state_dir(environ, Path("/none/such/bridge")) == Path(expected)


# -- who we are ------------------------------------------------------------------------------------------------------


def test_by_default_the_resource_is_triton_on_this_host(load_with: Load) -> None:
    assert load_with().resource_attributes == {
        "service.name": "triton",
        "service.instance.id": socket.gethostname(),
    }


def test_resource_attributes_are_percent_decoded(load_with: Load) -> None:
    settings = load_with({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=a%2Cb, team = search%20and%3Dfind,"})

    assert settings.resource_attributes["service.instance.id"] == "a,b"
    assert settings.resource_attributes["team"] == "search and=find"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OTEL_SERVICE_NAME": "one"}, "one"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=two"}, "two"),
        ({"OTEL_SERVICE_NAME": "one", "OTEL_RESOURCE_ATTRIBUTES": "service.name=two"}, "one"),
    ],
)
def test_the_service_name_wins_over_the_attribute(load_with: Load, environ: dict[str, str], expected: str) -> None:
    settings = load_with(environ)

    assert settings.service_name == expected
    assert settings.resource_attributes["service.name"] == expected


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "problem", "remedy"),
    [
        ("BRIDGE_INTERVAL", "soon", "'soon' is not a duration", "60s"),
        ("BRIDGE_INTERVAL", "500ms", "500ms is out of range", "from 1s"),
        ("BRIDGE_SCRAPE_INTERVAL", "31s", "31s is out of range", "1m rate windows would go empty"),
        ("BRIDGE_SCRAPE_INTERVAL", "0.9", "0.9 is out of range", "from 1s"),
        ("BRIDGE_BACKFILL_LIMIT", "48h", "48h is out of range", "refuses points older than 48h"),
        ("BRIDGE_SETTLE_DELAY", "-1s", "'-1s' is not a duration", "60s"),
        ("BRIDGE_MAX_SERIES", "0", "'0' is not a whole number above 0", "digits"),
        ("BRIDGE_MAX_SERIES", "1e4", "'1e4' is not a whole number above 0", "digits"),
        ("BRIDGE_LISTEN", "9464", "'9464' is not an address", "host:port; an IPv6 host stands in brackets"),
        ("BRIDGE_TRITON_TARGET", "http://triton:8002/metrics", "is not an address", "host:port"),
        ("BRIDGE_TRITON_TARGET", "triton:8002/metrics", "is not an address", "host:port"),
        ("BRIDGE_TRITON_TARGET", "me@triton:8002", "is not an address", "host:port"),
        ("BRIDGE_TRITON_SINCE", "yesterday", "'yesterday' is not a time", "date +%s"),
        ("BRIDGE_TRITON_SINCE", "-5", "'-5' is not a time", "date +%s"),
        ("BRIDGE_TRITON_TARGET", "triton:0", "'triton:0' is not an address", "host:port"),
        (
            "BRIDGE_PROMETHEUS_URL",
            "prometheus:9090",
            "begins with neither http",
            "did you mean http://prometheus:9090?",
        ),
        ("BRIDGE_PROMETHEUS_URL", "http://", "names no host", "http://127.0.0.1:9090"),
        ("BRIDGE_PROMETHEUS_URL", "http://a:port", "is not a URL", "http://127.0.0.1:9090"),
        ("BRIDGE_PROMETHEUS_URL", "http://a/?token=x", "has a part behind '?' or '#'", "ends with its path"),
        ("BRIDGE_PROMETHEUS_CA", "/none/such.pem", "/none/such.pem cannot be read", "PEM"),
        ("BRIDGE_PROMETHEUS_PASSWORD", "x", "only one is given", "give both"),
        ("BRIDGE_PROMETHEUS_HEADERS", "X-Org", "part 1 is not key=value", "%2C"),
        ("BRIDGE_PROMETHEUS_HEADERS", "X Org=1", "cannot be an HTTP header", "Name=value"),
        ("BRIDGE_PROMETHEUS_HEADERS", "X-Org=1%0d%0aX-Evil: 2", "cannot be an HTTP header", "Name=value"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b", "part 2 is not key=value", "%2C"),
        ("BRIDGE_MATCH", "job=triton", "is no list of label matchers", 'name="value"'),
        ("BRIDGE_SANDBOX", "maybe", "'maybe' is neither true nor false", "true or false"),
        ("BRIDGE_LOG_LEVEL", "loud", "'loud' is not known", "one of debug, info, warning, error"),
        ("BRIDGE_LOG_FORMAT", "xml", "'xml' is not known", "one of text, json"),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "AAD", "is not understood", "Authorization=AAD"),
    ],
)
def test_a_wrong_value_is_refused_with_place_problem_and_remedy(
    load_with: Load, name: str, value: str, problem: str, remedy: str
) -> None:
    (finding,) = findings_of(lambda: load_with({name: value}))

    assert (finding.place, finding.severity) == (name, Severity.ERROR)
    assert problem in finding.problem
    assert remedy in finding.remedy


def test_all_mistakes_are_told_at_once(load_with: Load, secrets: Path) -> None:
    (secrets / "BRIDGE_LISTEN").write_text("nowhere")
    environ = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x",
        "BRIDGE_SCRAPE_INTERVAL": "1h",
        "BRIDGE_INTERVALL": "60s",
        "BRIDGE_PROMETHEUS_USERNAME": "me",
    }

    findings = findings_of(lambda: load_with(environ, log_level="loud"))

    assert sorted(finding.place for finding in findings) == sorted(
        [
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "BRIDGE_SCRAPE_INTERVAL",
            "BRIDGE_INTERVALL",
            "BRIDGE_PROMETHEUS_PASSWORD",
            str(secrets / "BRIDGE_LISTEN"),
            "--log-level",
        ]
    )


def test_a_token_and_a_user_exclude_each_other(load_with: Load) -> None:
    user = {"BRIDGE_PROMETHEUS_USERNAME": "me", "BRIDGE_PROMETHEUS_PASSWORD": "it"}

    (finding,) = findings_of(lambda: load_with(user | {"BRIDGE_PROMETHEUS_BEARER_TOKEN": "token"}))

    assert finding.place == "BRIDGE_PROMETHEUS_BEARER_TOKEN"


def test_entra_id_needs_an_https_endpoint(load_with: Load) -> None:
    """azure-core refuses to send a token over http, and would be asked again for ever."""
    environ = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint=http://localhost:1",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD",
    }

    (finding,) = findings_of(lambda: load_with(environ))

    assert finding.place == "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
    assert "needs https" in finding.problem


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("BRIDGE_PROMETHEUS_URL", " HTTP://Prometheus:9090/path/ ", "prometheus_url", "http://prometheus:9090/path"),
        ("BRIDGE_PROMETHEUS_URL", "https://[::1]:9090", "prometheus_url", "https://[::1]:9090"),
        ("BRIDGE_TRITON_TARGET", "triton_1.svc:8002", "triton_target", "triton_1.svc:8002"),
        ("BRIDGE_TRITON_TARGET", "[::1]:8002", "triton_target", "[::1]:8002"),
        ("BRIDGE_TRITON_SINCE", "1795000020.125", "triton_since", 1795000020.125),
        ("BRIDGE_LISTEN", "[::]:9464", "listen", Address("::", 9464)),
        ("BRIDGE_LISTEN", "127.0.0.1:0", "listen", Address("127.0.0.1", 0)),
        ("BRIDGE_SCRAPE_INTERVAL", "30s", "scrape_interval", 30.0),
        ("BRIDGE_INTERVAL", "1m30s", "interval", 90.0),
        ("BRIDGE_INTERVAL", "90", "interval", 90.0),
        ("BRIDGE_SETTLE_DELAY", "500ms", "settle_delay", 0.5),
        ("BRIDGE_SANDBOX", "On", "sandbox", True),
        ("BRIDGE_REQUIRED", "1", "required", True),
        ("BRIDGE_REQUIRED", "FALSE", "required", False),
        ("BRIDGE_LOG_LEVEL", "Debug", "log_level", "debug"),
        ("BRIDGE_LOG_FORMAT", "JSON", "log_format", "json"),
        ("BRIDGE_PROMETHEUS_HEADERS", "X-Org=a%20b,Y=c%2Cd", "prometheus_headers", {"X-Org": "a b", "Y": "c,d"}),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "authorization = aad ;", "entra", True),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "Authorization=AAD;ClientId=me", "entra_client_id", "me"),
    ],
)
def test_values_are_read_as_people_write_them(
    load_with: Load, name: str, value: str, field: str, expected: object
) -> None:
    assert getattr(load_with({name: value}), field) == expected


@pytest.mark.parametrize(
    "matchers",
    [
        'job="triton"',
        'job = "triton" , pod!="x"',
        'model=~"bert.*",pod!~"a|b"',
        r'path=~"a\\d+\"\u00e4"',
        'empty="",comma="a,b}"',
    ],
)
def test_label_matchers_are_taken_as_promql_writes_them(load_with: Load, matchers: str) -> None:
    assert load_with({"BRIDGE_MATCH": f" {matchers}, "}).match == matchers


@pytest.mark.parametrize(
    "matchers",
    ['{job="triton"}', "job='x'", 'job=="x"', 'a="b" c="d"', 'a="b",,c="d"', r'a=~"\d"', '1a="b"', 'a="b"}[1m]', 'a="'],
)
def test_what_could_break_a_query_is_no_label_matcher(load_with: Load, matchers: str) -> None:
    (finding,) = findings_of(lambda: load_with({"BRIDGE_MATCH": matchers}))

    assert "is no list of label matchers" in finding.problem


def test_the_metric_name_is_not_for_matchers(load_with: Load) -> None:
    (finding,) = findings_of(lambda: load_with({"BRIDGE_MATCH": 'job="x",__name__=~"nv_.*"'}))

    assert finding.remedy == "metrics.json names the metrics"


# -- warnings --------------------------------------------------------------------------------------------------------


def warnings_of(settings: Settings) -> list[str]:
    assert {finding.severity for finding in settings.findings} <= {Severity.WARNING}
    return [f"{finding.place}: {finding.remedy}" for finding in settings.findings]


def test_an_unknown_name_is_told_with_the_nearest_known_one(load_with: Load, secrets: Path) -> None:
    (secrets / "bridge_listenn").touch()

    settings = load_with({"BRIDGE_INTERVALL": "1", "bridge_match": "x", "BRIDGE_XYZZY": "", "OTHER": ""})

    assert warnings_of(settings) == [
        "BRIDGE_INTERVALL: did you mean BRIDGE_INTERVAL?",
        "bridge_match: did you mean BRIDGE_MATCH?",
        "BRIDGE_XYZZY: remove it, or see triton-bridge run --help",
        f"{secrets / 'bridge_listenn'}: did you mean BRIDGE_LISTEN?",
    ]


def test_kubernetes_own_variables_are_no_mistake(load_with: Load) -> None:
    """A service that is called "bridge" puts its address into every container of the namespace."""
    service = {
        "BRIDGE_SERVICE_HOST": "10.0.0.1",
        "BRIDGE_SERVICE_PORT_HTTP": "9464",
        "BRIDGE_PORT": "tcp://10.0.0.1:9464",
        "BRIDGE_PORT_9464_TCP_ADDR": "10.0.0.1",
    }

    assert load_with(service).findings == ()
    assert warnings_of(load_with({"BRIDGE_PORT": "9464"})) != []


def test_a_sandbox_beside_a_credential_is_a_warning(load_with: Load) -> None:
    assert warnings_of(load_with(sandbox=True)) == ["--sandbox: remove one of them"]


# -- what is shown ---------------------------------------------------------------------------------------------------


def test_the_effective_settings_are_shown_with_their_sources(load_with: Load, secrets: Path) -> None:
    (secrets / "BRIDGE_LOG_FORMAT").write_text("json\n")

    settings = load_with({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=one"}, interval="90", sandbox=False)

    shown = {name: (value, source) for name, value, source in settings.shown()}
    assert len(shown) == len(describe())
    assert shown["APPLICATIONINSIGHTS_CONNECTION_STRING"] == (
        "InstrumentationKey=1a2b…;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com",
        "environment",
    )
    assert shown["OTEL_RESOURCE_ATTRIBUTES"] == ("service.instance.id=one,service.name=triton", "environment")
    assert shown["BRIDGE_LOG_FORMAT"] == ("json", "file")
    assert shown["--interval"] == ("1m30s", "option")
    assert shown["--sandbox"] == ("false", "option")
    assert shown["BRIDGE_LISTEN"] == ("127.0.0.1:9464", "default")
    assert shown["BRIDGE_PROMETHEUS_CA"] == ("", "default")


SECRETS = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": STRING.replace(KEY, KEY.upper()),
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD",
    "BRIDGE_PROMETHEUS_HEADERS": "X-One=first-secret,X-Two=second%20secret",
    "BRIDGE_PROMETHEUS_BEARER_TOKEN": "token-secret",
}
PASSWORD = {"BRIDGE_PROMETHEUS_USERNAME": "me", "BRIDGE_PROMETHEUS_PASSWORD": "password-secret"}


@pytest.mark.parametrize("environ", [SECRETS, PASSWORD], ids=["token", "password"])
@pytest.mark.parametrize(
    "render",
    [
        repr,
        str,
        "{}".format,
        rich.pretty.pretty_repr,
        lambda settings: str(settings.shown()),
        lambda settings: repr(settings.connection),
        lambda settings: f"{settings.connection}",
        lambda settings: rich.pretty.pretty_repr(settings.connection),
        lambda settings: str([*map(str, settings.findings), settings.findings]),
        lambda settings: repr(settings.origins),
        lambda settings: repr(settings.model_dump()),
        lambda settings: settings.model_dump_json(),
        lambda settings: repr([settings]),
    ],
)
def test_no_rendering_holds_a_secret(
    load_with: Load, environ: dict[str, str], render: Callable[[Settings], str]
) -> None:
    rendered = render(load_with(environ))

    assert rendered
    assert not re.search(r"secret|3c4d|00000000000f", rendered, re.IGNORECASE)


def test_secrets_are_listed_for_the_log_to_mask(load_with: Load) -> None:
    assert set(load_with(SECRETS).secrets) == {KEY, "first-secret", "second secret", "token-secret"}
    assert set(load_with(PASSWORD).secrets) == {KEY, "password-secret"}


@pytest.mark.parametrize(
    "environ",
    [
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY}-secret"},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"{KEY};secret;Authorization=secret"},
        {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={KEY};IngestionEndpoint=https://me:secret@a/"},
        {"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD;Secret=secret"},
        {"BRIDGE_PROMETHEUS_URL": "http://me:secret@prometheus:9090"},
        {"BRIDGE_PROMETHEUS_URL": "http://me:sec/ret@secret@prometheus:port"},
        {"BRIDGE_PROMETHEUS_URL": "me:secret@prometheus:9090"},
        {"BRIDGE_PROMETHEUS_URL": "prometheus:9090/?token=secret"},
        {"BRIDGE_PROMETHEUS_URL": "http://prometheus:port/?token=secret"},
        {"BRIDGE_PROMETHEUS_HEADERS": "X-One secret"},
        {"BRIDGE_PROMETHEUS_HEADERS": "X-One=secret\x00"},
        {"BRIDGE_PROMETHEUS_PASSWORD": "secret"},
        PASSWORD | {"BRIDGE_PROMETHEUS_BEARER_TOKEN": "token-secret"},
    ],
)
def test_no_mistake_is_told_with_a_secret(load_with: Load, environ: dict[str, str]) -> None:
    """Nor with any part of a key beyond its first four characters."""
    told = str([(finding.problem, finding.remedy) for finding in findings_of(lambda: load_with(environ))])

    assert not re.search(r"secret|sec/ret|3c4d|00000000000f", told)


# -- the example file ------------------------------------------------------------------------------------------------

EXAMPLE = (ROOT / "config" / "example.env").read_text()


def variables(text: str) -> dict[str, str]:
    """An environment file as Docker reads it: no quotes, no comment behind a value."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def uncommented(text: str) -> dict[str, str]:
    return variables(re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE))


def test_the_example_file_loads_as_it_is(secrets: Path) -> None:
    settings = load(variables(EXAMPLE), secrets_dir=secrets)

    assert settings.findings == ()
    assert [source for _, _, source in settings.shown()].count("environment") == 1


def test_the_example_file_holds_every_setting() -> None:
    assert sorted(uncommented(EXAMPLE)) == sorted(name for setting in describe() for name in setting.names)


def test_the_example_file_shows_the_defaults() -> None:
    example = uncommented(EXAMPLE)

    for setting in describe():
        if setting.default and setting.field not in {"metrics_file", "state_dir"}:  # these two are worked out
            assert example[setting.names[0]] == setting.default


@pytest.mark.parametrize("paragraph", [text for text in EXAMPLE.split("\n\n") if uncommented(text)])
def test_every_paragraph_of_the_example_file_is_valid(secrets: Path, tmp_path: Path, paragraph: str) -> None:
    (tmp_path / "ca.pem").touch()
    paragraph = paragraph.replace("/etc/bridge/prometheus-ca.pem", str(tmp_path / "ca.pem"))

    assert load(variables(EXAMPLE) | uncommented(paragraph), secrets_dir=secrets).findings == ()
