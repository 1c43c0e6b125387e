"""Settings and credentials of a provider of ISO 15143-3 and of MineStar Fleet's exports."""

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from connectors.kit.integration import Integration
from connectors.kit.manifest import Credential
from unified.records import FaultSeverity

CREDENTIALS: Final = (
    Credential(name="client_id", description="OAuth 2.0 client id; needs `token_url`", required=False),
    Credential(name="client_secret", description="Secret of the client", required=False),
    Credential(
        name="username",
        description="Account: with a client for the password grant (Bell), with `token_url` alone for a token as plain "
        "text (Develon), else for HTTP Basic",
        required=False,
    ),
    Credential(name="password", description="Password of `username`", required=False),
    Credential(name="refresh_token", description="With a client: the long-lived refresh token (Deere)", required=False),
    Credential(name="token", description="A fixed bearer token (Samsara), instead of all others", required=False),
)

SeriesKind = Literal["faults", "hours", "idle", "fuel", "loads", "payload"]
COUNTERS: Final[tuple[SeriesKind, ...]] = ("hours", "idle", "fuel", "loads", "payload")


class Dialect(NamedTuple):
    """How a provider writes addresses. `series` are names of time series; one that it has not is absent."""

    root: str
    equipment: str
    make_model_serial: str
    by_id: str
    series: Mapping[SeriesKind, str]


DIALECTS: Final[Mapping[str, Dialect]] = {
    "iso": Dialect(
        root="/Fleet",
        equipment="Equipment",
        make_model_serial="MakeModelSerial",
        by_id="ID",
        series={
            "faults": "Faults",
            "hours": "CumulativeOperatingHours",
            "idle": "CumulativeIdleHours",
            "fuel": "CumulativeFuelUsed",
            "loads": "CumulativeLoadCount",
            "payload": "CumulativePayloadTotals",
        },
    ),
    "cat": Dialect(
        root="/fleet",
        equipment="equipment",
        make_model_serial="makeModelSerial",
        by_id="id",
        series={
            "faults": "faults",
            "hours": "cumulativeOperatingHours",
            "idle": "cumulativeIdleHours",
            "fuel": "cumulativeFuelUsed",
        },
    ),
}

CAT_REQUESTS_PER_DAY: Final = 50_000
HAUL_TRUCKS: Final = (
    "72[0-9]*", "73[0-9]*", "74[0-9]*",  # Cat articulated
    "77[0-9]*", "78[0-9]*", "79[0-9]*",  # Cat rigid
    "B[1-6][0-9]*",  # Bell
    "HD[0-9]*", "HM[0-9]*", "[7-9][0-9]0E*",  # Komatsu
    "EH[0-9]*",  # Hitachi
    "A[2-6][05]*", "R[679]0[A-Z]*", "R100E*",  # Volvo
    "T 2*", "T2[0-9]*", "TA 230*",  # Liebherr
)  # fmt: skip
LOADING_UNITS: Final = (
    "60[0-9][0-9]*", "3[2-9][0-9]*", "98[0-9]*", "99[0-9]*", "7495*",  # Cat shovels, excavators, wheel loaders
    "PC[0-9]*", "WA[0-9]*",  # Komatsu
    "EX[0-9]*", "ZX[0-9]*", "ZW[0-9]*",  # Hitachi
    "EC[0-9]*", "L[0-9]*",  # Volvo, Liebherr
    "R 9*", "R9[0-9]*",  # Liebherr
)  # fmt: skip

_Glob = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^*]*(\*[^*]*){0,3}$")]
_Path = Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9_.~:%-]+)+$", max_length=200)]
_Word = Annotated[str, Meta(min_length=1, max_length=100)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[integrations.settings]` of a provider."""

    dialect: Annotated[
        Literal["cat", "iso"],
        Meta(
            description="How addresses are written: `cat` (fleet, makeModelSerial, Cat's media types, rates and daily "
            "quota) or `iso` (Fleet, MakeModelSerial: every other maker)"
        ),
    ] = "cat"
    format: Annotated[
        Literal["json", "xml"] | None,
        Meta(description="What is asked for; answers are read in either form. null: JSON from Cat, XML from others"),
    ] = None
    token_url: Annotated[
        str | None, Meta(description="Token endpoint, an address or a path below base_url; for OAuth 2.0 and Develon")
    ] = None
    scope: Annotated[str | None, Meta(description="OAuth 2.0 scope, where the provider wants one")] = None
    client_in_body: Annotated[
        bool, Meta(description="Send client id and secret in the form instead of by HTTP Basic")
    ] = False
    fleet_path: Annotated[
        _Path | None,
        Meta(
            description="Path of the fleet below base_url, where it is not `/fleet` (Cat) or `/Fleet`: "
            "`/Fleet/minutes` (Develon's idle time in minutes)"
        ),
    ] = None
    page_form: Annotated[
        Literal["path", "query", "none"],
        Meta(
            description="Where the page number stands: at the end of the path, in `?page=&limit=` (Cartrack), or "
            "nowhere (Deere: the links lead on)"
        ),
    ] = "path"
    first_page: Annotated[int, Meta(ge=0, le=1, description="Number of the first page")] = 1
    page_size: Annotated[int, Meta(ge=1, le=1_000, description='Machines in a page, for `page_form = "query"`')] = 100
    machine_by: Annotated[
        Literal["make-model-serial", "id", "serial", "pin"],
        Meta(
            description="How one machine is addressed: `MakeModelSerial/…/…/…`, `ID/{EquipmentID}`, or its serial "
            "number (Bell) or PIN (Bodas) right after `Equipment`"
        ),
    ] = "make-model-serial"
    series_url: Annotated[
        str | None,
        Meta(
            description="Base address of time series, where it is another than base_url "
            "(Cat: https://api.cat.com/catDigital/iso15143/v1)"
        ),
    ] = None
    series: Annotated[
        dict[SeriesKind, str],
        Meta(
            description="Names of time series in addresses, where they are others than the dialect's "
            '(Bell: `faults = "CautionCodes"`); an empty name: the provider has none'
        ),
    ] = {}
    percent: Annotated[
        Literal["percent", "ratio", "unsure"],
        Meta(
            description="What a level in the tank means: 0 to 100, or 0 to 1; `unsure` takes it as percent and shows "
            "no value for those up to 1 with a decimal point, which may be either"
        ),
    ] = "unsure"
    time_zone: Annotated[_Word, Meta(description="Zone of times that come without one (the standard says UTC)")] = "UTC"
    site_zone: Annotated[
        _Word | None,
        Meta(
            description="Zone of the site: its midnight ends a day of production, its time stands in exports. null: "
            "days are UTC, exports tell it in their column heads (`(GMT8)`)"
        ),
    ] = None
    offline_hours: Annotated[
        float, Meta(gt=0, le=8_760, description="A machine without news for so many hours is offline")
    ] = 24.0
    fleet_number_pattern: Annotated[
        str | None,
        Meta(
            description="Regular expression with the group `fleet` on the EquipmentID; null where that is no number of "
            "the operator's own (Samsara)"
        ),
    ] = "^(?P<fleet>.+)$"
    haul_truck_models: Annotated[
        tuple[_Glob, ...], Meta(max_length=200, description="Models that are haul trucks; `*`, `?` and `[0-9]` work")
    ] = HAUL_TRUCKS
    loading_unit_models: Annotated[
        tuple[_Glob, ...],
        Meta(max_length=200, description="Models that load trucks; what is in neither is MOBILE_MACHINE"),
    ] = LOADING_UNITS
    severities: Annotated[
        dict[str, FaultSeverity],
        Meta(
            description='The maker\'s own words for how bad a fault is: `Red = "CRITICAL"`; High, Medium, Low are known'
        ),
    ] = {}
    requests_per_day: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Calls that the provider allows per UTC day; null: 50,000 at Cat, no limit at others"),
    ] = None
    fresh_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="A page of the fleet serves for so long, with its age; its address is not asked again before "
            "(Trackunit allows one call per address in 900 s, Deere renews hourly)",
        ),
    ] = 60.0
    series_seconds: Annotated[
        float,
        Meta(ge=0, le=86_400, description="A time series serves for so long; it is not asked for again before"),
    ] = 900.0
    live_seconds: Annotated[
        float, Meta(ge=10, le=86_400, description="How often the fleet is read for live changes at most")
    ] = 300.0
    production_days: Annotated[
        int, Meta(ge=1, le=92, description="Days of production that are listed when no time is asked for")
    ] = 7
    fault_days: Annotated[
        int, Meta(ge=1, le=92, description="Days of faults that are listed when no time is asked for; Cat keeps 14")
    ] = 14
    series_pages: Annotated[
        int, Meta(ge=1, le=1_000, description="Most pages of one time series; a longer one is an error")
    ] = 50
    export_folder: Annotated[
        str | None, Meta(description="Folder into which MineStar Fleet exports cycles and delays (CSV)")
    ] = None
    export_time_format: Annotated[
        Annotated[str, Meta(min_length=2, max_length=40)] | None,
        Meta(description="Form of times in exports, as in `%d/%m/%Y %H:%M:%S`; null: ISO 8601"),
    ] = None
    stable_seconds: Annotated[
        float, Meta(ge=0.1, le=3_600, description="An export is taken when its size has not changed for so long")
    ] = 2.0

    def __post_init__(self) -> None:
        zone(self.time_zone, "time_zone")
        if self.site_zone is not None:
            zone(self.site_zone, "site_zone")
        for name in self.series.values():
            if not re.fullmatch(r"[A-Za-z0-9_]{0,60}", name):
                raise ValueError(f"series: {name!r} is no name of a time series; write one such as CautionCodes")

    @property
    def fleet(self) -> str:
        """Path of the fleet's pages."""
        return self.fleet_path or DIALECTS[self.dialect].root

    @property
    def root(self) -> str:
        """What machines are below, and what links lead to: the path up to `Fleet`."""
        found = re.match(r"(?i)^(.*?/fleet)(?=/|$)", self.fleet)
        return found[1] if found else self.fleet

    def series_name(self, kind: SeriesKind) -> str | None:
        """Null where the provider has no such series."""
        return self.series.get(kind, DIALECTS[self.dialect].series.get(kind, "")) or None

    @property
    def accept(self) -> str:
        """Media types that are asked for."""
        form = self.format or ("json" if self.dialect == "cat" else "xml")
        plain = f"application/{form}"
        return f"application/iso15143-snapshot+{form}, {plain};q=0.9" if self.dialect == "cat" else plain

    @property
    def daily_limit(self) -> int | None:
        return self.requests_per_day or (CAT_REQUESTS_PER_DAY if self.dialect == "cat" else None)

    @property
    def day_zone(self) -> tzinfo:
        """Whose midnight ends a day of production."""
        return UTC if self.site_zone is None else zone(self.site_zone, "site_zone")


def zone(name: str, setting: str) -> tzinfo:
    """Raises `ValueError` for a name that is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{setting}: there is no time zone {name!r}; write one such as Australia/Perth") from None


def settings_of(integration: Integration) -> Settings:
    return msgspec.convert(integration.settings, Settings)
