"""Takes what was given for each setting as text, gives Settings; the table that all lists of settings are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.durations import format_duration
from bridge.errors import Finding
from bridge.settings import syntax
from bridge.settings.connection import CONNECTION_STRING, KEYS, Authentication, Connection, read_authentication
from bridge.settings.sources import Source
from bridge.settings.syntax import Address, Wrong

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]


def _text(parse: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse(str(value)))


def _readable(text: str) -> str:
    try:
        Path(text).open("rb").close()
    except OSError as error:
        raise Wrong(f"{text} cannot be read: {error.strerror}", "name a file of PEM certificates") from error
    return text


Text = Annotated[str, _text(str.strip)]
Pairs = Annotated[dict[str, str], _text(syntax.pairs)]
Url = Annotated[str, _text(syntax.url)]
File = Annotated[Path, _text(lambda text: Path(text.strip()))]
ReadableFile = Annotated[str, _text(_readable)]
Flag = Annotated[bool, _text(syntax.flag)]
Count = Annotated[int, _text(syntax.count)]
Listen = Annotated[Address, _text(lambda text: syntax.address(text, any_port=True))]


def _setting(
    default: str | None, meaning: str, *names: str, metavar: str = "TEXT", secret: bool = False, shown: str = ""
) -> Any:
    """A field. Its default is written as a user would write it; ``shown`` describes one that ``load`` works out."""
    return Field(
        default=... if shown else default,
        description=meaning,
        validation_alias=AliasChoices(*names) if names else None,
        exclude=secret,
        json_schema_extra={"metavar": metavar, "secret": secret, "default": shown or default or ""},
    )


class Settings(BaseSettings):
    """How the process runs; durations in seconds. No way of printing it shows a secret.

    ``findings`` are warnings; ``origins`` tells under which name, and where, a field was given.
    """

    model_config = SettingsConfigDict(
        env_prefix="BRIDGE_",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        loc_by_alias=False,
        populate_by_name=True,
        validate_default=True,
    )

    connection: Connection | None = _setting(
        None,
        "where to post: a connection string, or else an instrumentation key",
        CONNECTION_STRING,
        *KEYS,
        secret=True,
    )
    authentication: Annotated[Authentication | None, _text(read_authentication)] = _setting(
        None,
        "Authorization=AAD[;ClientId=…] signs in with Entra ID, as a managed identity",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    )
    service_name: Text = _setting("triton", "cloud role name", "OTEL_SERVICE_NAME")
    resource_attributes: Pairs = _setting(
        "",
        "key=value,… about the resource; service.instance.id, by default the host's name, is the cloud role instance",
        "OTEL_RESOURCE_ATTRIBUTES",
        metavar="PAIRS",
    )
    prometheus_url: Url = _setting(
        "http://127.0.0.1:9090",
        "where Prometheus is; elsewhere than loopback: the images do not start their own",
        metavar="URL",
    )
    prometheus_username: Text | None = _setting(None, "user of a Prometheus behind basic authentication")
    prometheus_password: str | None = _setting(None, "password of that user", secret=True)
    prometheus_bearer_token: Text | None = _setting(None, "token of a Prometheus behind a bearer token", secret=True)
    prometheus_headers: Annotated[dict[str, str], _text(syntax.headers)] = _setting(
        "",
        "Name=value,Other=value: headers of every question to Prometheus, percent-encoded as in "
        "OTEL_EXPORTER_OTLP_HEADERS",
        secret=True,
    )
    prometheus_ca: ReadableFile | None = _setting(None, "certificates to know Prometheus by, PEM", metavar="FILE")
    triton_target: Annotated[str, _text(lambda text: str(syntax.address(text)))] = _setting(
        "127.0.0.1:8002", "where the bundled Prometheus scrapes Triton", metavar="HOST:PORT"
    )
    triton_since: Annotated[float | None, _text(syntax.moment)] = _setting(
        None,
        "seconds since the epoch when that Triton was started, from where its counts begin at zero; the bundle sets it",
        metavar="SECONDS",
    )
    scrape_interval: Annotated[
        float, _text(syntax.duration("1s", "30s", "above it the 1m rate windows would go empty"))
    ] = _setting("15s", "how often the bundled Prometheus scrapes", metavar="DURATION")
    metrics_file: File = _setting(
        None,
        "which metrics to send; a change counts from the next grid time on after it was seen, a bad one changes nothing",
        metavar="FILE",
        shown="/etc/bridge/metrics.json, else config/metrics.json",
    )
    interval: Annotated[float, _text(syntax.duration("1s", "1h"))] = _setting(
        "60s", "time between two cycles", metavar="DURATION"
    )
    settle_delay: Annotated[float, _text(syntax.duration("0s", "5m"))] = _setting(
        "5s", "how long after its time a cycle asks, so that scrapes under way have landed", metavar="DURATION"
    )
    match: Annotated[str, _text(syntax.matchers)] = _setting(
        "", 'label matchers put into every generated query: job="triton",pod="x"', metavar="MATCHERS"
    )
    state_dir: File = _setting(
        None, "where the backlog is kept", metavar="DIR", shown="/var/lib/bridge, else the user's state directory"
    )
    backfill_limit: Annotated[
        float,
        _text(syntax.duration("0s", "47h30m", "Application Insights refuses points older than 48h")),
    ] = _setting("47h", "how far back gaps are repaired", metavar="DURATION")
    max_series: Count = _setting(
        "20000", "series a cycle; above it the largest metrics are left out, and named", metavar="NUMBER"
    )
    listen: Listen = _setting("127.0.0.1:9464", "address of the status page and of health", metavar="HOST:PORT")
    sandbox: Flag = _setting("false", "post to an embedded endpoint instead of Azure; needs no credentials")
    required: Flag = _setting("false", "in the bundle: a bridge that cannot start ends the container")
    log_level: Annotated[Level, _text(syntax.choice(*get_args(Level)))] = _setting(
        "info", "debug, info, warning or error", metavar="LEVEL"
    )
    log_format: Annotated[Format, _text(syntax.choice(*get_args(Format)))] = _setting(
        "text", "text for people, json for machines", metavar="FORMAT"
    )

    findings: tuple[Finding, ...] = ()
    origins: Mapping[str, tuple[str, Source]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what ``load`` hands in: it looks into the environment itself, to know each value's place."""
        return (init_settings,)

    @field_validator("authentication")
    @classmethod
    def _needs_https(cls, value: Authentication | None, info: ValidationInfo) -> Authentication | None:
        connection = info.data.get("connection")
        if value and connection and connection.ingestion_endpoint.startswith("http:"):
            raise Wrong("Entra ID needs https, and the IngestionEndpoint is http", "give an https endpoint")
        return value

    @field_validator("prometheus_password")
    @classmethod
    def _needs_user(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("prometheus_username") is None):
            raise Wrong("user and password go together, and only one is given", "give both, or neither")
        return value

    @field_validator("prometheus_bearer_token")
    @classmethod
    def _needs_no_user(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and info.data.get("prometheus_username"):
            raise Wrong("a token and a user are given, and only one can sign in", "remove one")
        return value

    @property
    def own_target(self) -> str | None:
        """Triton's metrics, where a Prometheus of this machine scrapes them; another's labels are not known."""
        return self.triton_target if syntax.is_loopback(urlsplit(self.prometheus_url).hostname or "") else None

    @property
    def entra(self) -> bool:
        """Whether to sign in with Entra ID."""
        return self.authentication is not None

    @property
    def entra_client_id(self) -> str | None:
        """The client of a user-assigned managed identity."""
        return self.authentication.client_id if self.authentication else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be written anywhere, for ``logs.setup``."""
        key = self.connection.instrumentation_key if self.connection else None
        found = (key, self.prometheus_password, self.prometheus_bearer_token, *self.prometheus_headers.values())
        return tuple(secret for secret in found if secret)

    def shown(self) -> list[tuple[str, str, Source]]:
        """Every setting in force: the name it was given under, its value with secrets masked, where it came from."""
        rows: list[tuple[str, str, Source]] = []
        for setting in describe():
            name, source = self.origins.get(setting.field, (setting.names[0], "default"))
            rows.append((name, _written(getattr(self, setting.field), secret=setting.secret), source))
        return rows

    def __repr_args__(self) -> list[tuple[str, str]]:
        return [(setting.field, row[1]) for setting, row in zip(describe(), self.shown(), strict=True)]


class Described(NamedTuple):
    """A setting, for help and documents. ``option`` is empty for a secret: command lines are visible to others."""

    field: str
    names: tuple[str, ...]
    option: str
    metavar: str
    default: str
    meaning: str
    secret: bool
    flag: bool


def describe() -> tuple[Described, ...]:
    """All settings, in the order of the table."""
    found, prefix = [], Settings.model_config["env_prefix"]
    for field, info in Settings.model_fields.items():
        extra = info.json_schema_extra
        if not isinstance(extra, dict):
            continue
        names = info.validation_alias.choices if isinstance(info.validation_alias, AliasChoices) else None
        secret, flag = bool(extra["secret"]), info.annotation is bool
        found.append(
            Described(
                field,
                tuple(map(str, names or [f"{prefix}{field.upper()}"])),
                "" if secret else f"--{field.replace('_', '-')}",
                "" if flag else str(extra["metavar"]),
                str(extra["default"]),
                info.description or "",
                secret,
                flag,
            )
        )
    return tuple(found)


def _written(value: object, *, secret: bool) -> str:
    """A value as it would be written, without what is secret in it."""
    if value is None or isinstance(value, Connection):
        return str(value or "")
    if isinstance(value, Authentication):
        return f"Authorization=AAD;ClientId={value.client_id}" if value.client_id else "Authorization=AAD"
    if isinstance(value, dict):
        return ",".join(f"{key}={'***' if secret else item}" for key, item in value.items())
    if isinstance(value, float) and value < 1e9:  # else it is a moment
        return format_duration(value)
    return "***" if secret else str(value).lower() if isinstance(value, bool) else str(value)
