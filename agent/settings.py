"""The configuration: one TOML file and `NEUROSIEVE_*` variables; nobody else reads either."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agent import destination_keys
from agent.errors import ConfigurationError

DEFAULT_FILE = Path("agent.toml")


LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Section(BaseModel):
    """One table of the file; unknown keys are refused, so that a typing error is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _ae_title(value: str) -> str:
    """PS3.5 6.2, VR AE: 1 to 16 characters of the default repertoire without backslash."""
    title = value.strip()
    if not 1 <= len(title) <= 16 or "\\" in title or not title.isascii():
        raise ValueError("an AE title has 1 to 16 ASCII characters and no backslash")
    return title


def _patterns(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
    return values


class NodeSettings(Section):
    """Who we are, where we listen and where everything is kept."""

    ae_title: str = "NEUROSIEVE"
    host: str = "127.0.0.1"
    port: int = Field(default=11112, ge=0, le=65535)
    data_dir: Path = Path("data")
    database_url: str = ""  # empty: SQLite in data_dir
    files_url: str = Field(default="", pattern=r"^(s3://[^/?#@]+(/[^?#@]*)?)?$")  # empty: data_dir
    files_endpoint: str = ""  # of a server that is not Amazon's
    files_region: str = ""
    files_key_id: str = ""
    files_secret: SecretStr | None = Field(default=None, min_length=1)
    cache_gb: float = Field(default=20.0, gt=0)  # of data_dir, for copies of files of the bucket
    slot: str = "0"  # names this worker among all that share data_dir
    reserve_gb: float = Field(default=5.0, ge=0)  # free space below which images are refused
    watermark_percent: float = Field(default=75.0, gt=0, le=100)  # of the disk; 100: only the above
    maximum_associations: int = Field(default=20, ge=1)
    maximum_per_peer: int = Field(default=10, ge=1)  # associations of one address or AE title
    maximum_object_mb: int = Field(default=512, ge=1)
    request_seconds: float = Field(default=10.0, gt=0)  # for a whole association request
    accept: Literal["peers", "anyone"] = "peers"  # who may send beside this machine itself

    _check_title = field_validator("ae_title")(_ae_title)


class TlsSettings(Section):
    """DICOM over TLS, by BCP 195, on a port of its own; on where a certificate is named."""

    certificate_file: Path | None = None  # who we are, to callers and to destinations
    key_file: Path | None = None
    ca_file: Path | None = None  # who vouches for peers
    port: int = Field(default=2762, ge=0, le=65535)  # PS3.8 9.1.1
    client_certificates: bool = True  # callers must show one
    only: bool = False  # node.port is not opened

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        given = [self.certificate_file, self.key_file, self.ca_file]
        if None in given and any(given):
            raise ValueError("certificate_file, key_file and ca_file belong together")
        if self.only and None in given:
            raise ValueError("only = true needs certificate_file, key_file and ca_file")
        return self


class CompletionSettings(Section):
    """When a study counts as complete."""

    quiet_seconds: float = Field(default=10.0, ge=0)
    wait_seconds: float = Field(default=120.0, ge=0)  # for images that are known to be missing
    expected_series: tuple[str, ...] = ()  # regular expressions on the description

    _check_patterns = field_validator("expected_series")(_patterns)


class PeerSettings(Section):
    """A system that sends to us; `host` may be a network, such as 10.1.2.0/24."""

    ae_title: str
    host: str = "127.0.0.1"
    port: int = Field(default=104, ge=1, le=65535)
    quiet_seconds: float | None = Field(default=None, ge=0)  # overrides completion.quiet_seconds
    ask: Literal["off", "find", "move"] = "off"  # what it holds; move: and fetch what is missing

    url: str = ""  # asked by QIDO-RS at this root instead of by C-FIND; what follows goes with it
    token: SecretStr | None = Field(default=None, min_length=1)
    token_file: Path | None = None
    username: str = ""
    password: SecretStr | None = Field(default=None, min_length=1)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    certificate: str = ""  # common or alternative name that its TLS certificate must have
    tls: bool = False  # it is called by TLS, with the files of the section [tls]

    _check_title = field_validator("ae_title")(_ae_title)

    _check_url = field_validator("url")(destination_keys.checked_url)

    @model_validator(mode="after")
    def _check_ask(self) -> Self:
        given = {key for key in self.model_fields_set if getattr(self, key) not in (None, "")}
        destination_keys.check_asked(given, ask=self.ask, url=self.url, is_network="/" in self.host)
        return self


DescribedSeries = Literal[
    "report",
    "segmentation",
    "heatmap",
    "parametric_map",
    "key_images",
    "derived_series",
    "rejection_note",
]
# VR LO, and marked, so that nobody takes it for an approved result.
SeriesDescription = Annotated[str, StringConstraints(pattern=r"(?i)research", max_length=64)]


class ResultSettings(Section):
    """Which result objects are made, and how. A destination may say otherwise for itself."""

    report: Literal["comprehensive3d", "comprehensive", "enhanced"] = "comprehensive3d"
    segmentation: bool = True
    heatmap: Literal["all", "lesions", "off"] = "all"
    parametric_map: Literal["float32", "uint16", "off"] = "off"
    key_images: bool = False
    derived_series: bool = False
    rejection_note: bool = False
    transfer_syntax: Literal["explicit", "implicit", "rle", "jpeg-ls", "jpeg-2000"] = "explicit"
    series_number_base: int = Field(default=9000, ge=1, le=2**31 - 100)  # VR IS, PS3.5 6.2
    series_descriptions: dict[DescribedSeries, SeriesDescription] = {}


class DestinationSettings(Section):
    """A system that results go to, by C-STORE (`dimse`) or by STOW-RS (`stow`)."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    transport: Literal["dimse", "stow"] = "dimse"

    ae_title: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=1, le=65535)
    tls: bool = False  # with the files of the section [tls]

    url: str = ""  # the root of the DICOMweb service
    token: SecretStr | None = Field(default=None, min_length=1)
    token_file: Path | None = None  # read for every delivery, so that it may be renewed
    username: str = ""
    password: SecretStr | None = Field(default=None, min_length=1)
    ca_file: Path | None = None  # trusted instead of the public authorities
    certificate_file: Path | None = None  # shows the peer who we are
    key_file: Path | None = None
    connect_seconds: float = Field(default=10.0, gt=0)
    answer_seconds: float = Field(default=60.0, gt=0)

    confirm: Literal["auto", "commitment", "query", "off"] = "auto"  # proof that it holds them
    results: ResultSettings = ResultSettings()  # what is set here beats the section [results]

    _check_title = field_validator("ae_title")(_ae_title)

    _check_url = field_validator("url")(destination_keys.checked_url)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        given = {key for key in self.model_fields_set if getattr(self, key) not in (None, "")}
        destination_keys.check_together(given, transport=self.transport, url=self.url)
        if (self.transport, self.confirm) == ("stow", "commitment"):
            raise ValueError('transport = "stow" knows no confirm = "commitment"')
        return self


class DeliverySettings(Section):
    """How often and how patiently a destination is tried."""

    maximum_tries: int = Field(default=20, ge=1)
    first_retry_seconds: float = Field(default=10.0, gt=0)  # doubles with every try
    longest_retry_seconds: float = Field(default=3600.0, gt=0)
    commitment_seconds: float = Field(default=600.0, gt=0)  # for the answer, then it is asked anew


class RetentionSettings(Section):
    """When the files of a study go that is over and delivered; 0 keeps them. Rows always stay."""

    images_days: float = Field(default=0.0, ge=0)
    results_days: float = Field(default=0.0, ge=0)
    used_percent: float = Field(default=0.0, ge=0, lt=100)  # of the disk; the oldest go first
    without_proof: bool = False  # also where a destination has only said that it stored the results


class WorkSettings(Section):
    """What a worker does at a time, how often it tries a step, and when it counts as dead."""

    studies_at_once: int = Field(default=2, ge=1, le=8)  # begun; the model reads one at a time
    maximum_tries: int = Field(default=3, ge=1)
    first_retry_seconds: float = Field(default=2.0, gt=0)  # doubles with every try
    lease_seconds: float = Field(default=30.0, ge=5)  # PostgreSQL; then others take its work over


class SeriesSettings(Section):
    """Which series is read. What is not set keeps the built-in rule for axial T2-FLAIR."""

    sequence: str = "FLAIR"  # what the rules choose; models made for another are refused
    include: tuple[str, ...] | None = None  # regular expressions on the description
    exclude: tuple[str, ...] | None = None
    excluded_body_part: str | None = None  # regular expression
    timing_suffices: bool | None = None  # take a series by its times though no pattern names it
    minimum_slices: int | None = Field(default=None, ge=1)
    minimum_coverage_mm: float | None = Field(default=None, gt=0)
    inversion_time_ms: tuple[float, float] | None = None  # from, to
    minimum_echo_time_ms: float | None = Field(default=None, gt=0)
    minimum_repetition_time_ms: float | None = Field(default=None, gt=0)


class ModelSettings(Section):
    """Which model runs, and where."""

    folder: Path | None = None  # active from the first start on; None: the shipped one
    precision: Literal["fp32", "tf32", "fp16", "int8"] | None = None  # None: as the folder is
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    device: int = Field(default=0, ge=0)  # which card of this machine, as nvidia-smi counts them
    threads: int | None = Field(default=None, ge=1)


class DriftSettings(Section):
    """When the scores of a scanner count as drifted, and whether its studies then wait."""

    abnormal_share: float = Field(default=0.3, ge=0, lt=1)  # of studies that nobody wonders about
    significance: float = Field(default=0.001, gt=0, lt=1)  # false alarms a scanner-month
    minimum_studies: int = Field(default=20, ge=1)  # of a month, and of the calibration
    hold: bool = False


class StatusSettings(Section):
    """The status page and its metrics."""

    enabled: bool = True
    host: str = "127.0.0.1"  # any other asks for a login: `neurosieve users add`
    port: int = Field(default=8480, ge=0, le=65535)
    hosts: tuple[str, ...] = ()  # further names under which browsers reach it
    login: bool = False  # ask for it on loopback too, as behind a reverse proxy
    secure_cookie: bool = False  # behind a proxy that speaks TLS
    session_hours: float = Field(default=8.0, gt=0, le=168)
    show_patient_names: bool = False
    metrics_token_file: Path | None = None  # lets Prometheus in where a login is asked for
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether visitors must sign in."""
        return self.login or self.host not in LOOPBACK

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class TelemetrySettings(Section):
    """Where traces of the work go, by OTLP over HTTP; needs `pip install neurosieve[otel]`."""

    traces_endpoint: str = ""


class LogSettings(Section):
    """How the node logs, always to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    """Everything that can be configured. Environment beats file, file beats default."""

    model_config = SettingsConfigDict(
        env_prefix="NEUROSIEVE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may hold a token
    )

    node: NodeSettings = NodeSettings()
    tls: TlsSettings = TlsSettings()
    completion: CompletionSettings = CompletionSettings()
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[DestinationSettings, ...] = ()
    delivery: DeliverySettings = DeliverySettings()
    work: WorkSettings = WorkSettings()
    retention: RetentionSettings = RetentionSettings()
    series: SeriesSettings = SeriesSettings()
    model: ModelSettings = ModelSettings()
    results: ResultSettings = ResultSettings()
    drift: DriftSettings = DriftSettings()
    log: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(  # environment first; the file comes as init arguments
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources, strongest first."""
        return env_settings, init_settings

    @field_validator("destinations")
    @classmethod
    def _names_differ(
        cls, destinations: tuple[DestinationSettings, ...]
    ) -> tuple[DestinationSettings, ...]:
        names = [destination.name for destination in destinations]
        if len(set(names)) != len(names):
            raise ValueError("two destinations carry the same name")
        return destinations

    @model_validator(mode="after")
    def _check_destinations(self) -> Self:
        for one in self.destinations:
            if one.transport == "stow" and self.results_for(one).transfer_syntax == "implicit":
                raise ValueError(
                    f'destination {one.name}: STOW-RS knows no transfer_syntax = "implicit"'
                )
        return self

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.node.files_url and self.retention.used_percent:
            raise ValueError(
                "retention.used_percent counts the disk of data_dir, and node.files_url keeps the "
                "files elsewhere: use images_days and results_days"
            )
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        called = {f"destination {one.name}": one.tls for one in self.destinations}
        called |= {f"peer {one.ae_title}": one.tls for one in self.peers}
        for name, by_tls in called.items():
            if by_tls and self.tls.certificate_file is None:
                raise ValueError(f"{name}: tls = true needs the section [tls]")
        return self

    @property
    def database_url(self) -> str:
        """The configured URL, or that of the embedded database."""
        embedded = self.node.data_dir.absolute() / "neurosieve.db"
        return self.node.database_url or f"sqlite:///{embedded.as_posix()}"

    def results_for(self, destination: DestinationSettings) -> ResultSettings:
        """What a destination gets: its own words, and the section [results] for all others."""
        own = destination.results
        said = {name: getattr(own, name) for name in own.model_fields_set}
        return self.results.model_copy(update=said)

    def quiet_seconds(self, ae_title: str) -> float:
        """How long a study from this sender must be quiet before it counts as complete."""
        for peer in self.peers:
            if peer.ae_title == ae_title and peer.quiet_seconds is not None:
                return peer.quiet_seconds
        return self.completion.quiet_seconds


def load(path: Path | None = None) -> Settings:
    """Read the named file, or `agent.toml` where there is one, or the defaults.

    Raises ConfigurationError that names the key and what is wrong with it.
    """
    if path is not None and not path.is_file():
        raise ConfigurationError(f"There is no configuration file {path}.")
    file = path or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    return parse(file.read_bytes() if file else b"", file)


def parse(text: bytes, file: Path | None) -> Settings:
    """Read a configuration that is not, or not yet, in that file; errors as of `load`."""
    try:
        return Settings(**tomllib.loads(text.decode("utf-8")))
    except ValidationError as error:
        raise ConfigurationError(_sentence(error, file)) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{file} cannot be read as TOML: {error}.") from error


def _sentence(error: ValidationError, file: Path | None) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = file or "the environment (NEUROSIEVE_*)"
    return f"{f'{key} in ' if key else ''}{where} is wrong: {first['msg']}."
