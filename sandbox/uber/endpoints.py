"""The endpoints below `/v1/guests`, with Uber's error bodies."""

import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.uber.tokens import Tokens
from sandbox.uber.trips import DRIVER_STATES, ENDED, METRES_PER_MILE, PRODUCTS, Asked, BadKey, Trips, begun
from sandbox.world import SITES, Place, distance_m

LIMIT: Final = 50
FARE_VALID: Final = timedelta(minutes=5)
FARES_KEPT: Final = 1000
SERVED_M: Final = 60_000
"""Farther than this from every site nothing is offered."""
_FACTORS: Final = {"UberX": Decimal("1.00"), "Comfort": Decimal("1.25"), "UberXL": Decimal("1.60")}
_PHONE: Final = re.compile(r"\+[1-9]\d{6,14}")


class Refused(Exception):
    """An answer in Uber's form of errors."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class _Fare:
    product: str
    value: Decimal
    expires: datetime


Endpoint = Callable[[Request], Awaitable[Response]]


class Endpoints:
    def __init__(self, trips: Trips, tokens: Tokens, admits: Callable[[str], bool]) -> None:
        self._trips, self._tokens, self._admits = trips, tokens, admits
        self._world = trips.world
        self._fares: OrderedDict[str, _Fare] = OrderedDict()
        self._runs: OrderedDict[str, list[str]] = OrderedDict()
        base = "/v1/guests"
        self.routes = [
            self._route(f"{base}/trips/estimates", POST=self._estimates),
            self._route(f"{base}/trips", GET=self._list, POST=self._create),
            self._route(f"{base}/trips/{{request_id}}", GET=self._read, DELETE=self._cancel),
            self._route(f"{base}/trips/{{request_id}}/receipt", GET=self._receipt),
            self._route(f"{base}/trips/{{request_id}}/dispatch", POST=self._dispatch),
            self._route(f"{base}/sandbox/run", POST=self._run),
            self._route(f"{base}/sandbox/driver-state", POST=self._driver_state),
        ]
        self.handlers: Mapping[Any, Any] = {Refused: _answer, HTTPException: _other}

    def forget(self) -> None:
        self._fares.clear()
        self._runs.clear()

    def _route(self, path: str, **methods: Endpoint) -> Route:
        async def endpoint(request: Request) -> Response:
            if not self._tokens.knows(request):
                raise Refused(401, "unauthorized", "Authorization failed. The client lacks valid auth credentials.")
            if not self._admits(f"{request.method} {path}"):
                raise Refused(429, "rate_limit_exceeded", "Rate limit exceeded for this endpoint.")
            return await methods[request.method](request)

        return Route(path, endpoint, methods=list(methods))

    # --- trips

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        wanted = query.get("trip_status", "ACTIVE")
        if wanted not in ("ACTIVE", "PAST", "EXPIRED"):
            raise _invalid("trip_status must be one of ACTIVE, PAST, EXPIRED")
        given = query.get("limit", str(LIMIT))
        if not (given.isascii() and given.isdigit() and 1 <= int(given) <= LIMIT):
            raise _invalid(f"limit must be a number from 1 to {LIMIT}")
        try:
            trips, key = self._trips.page(wanted, query.get("start_key"), int(given))
        except BadKey as exc:
            raise _invalid("start_key is invalid") from exc
        return JSONResponse({"next_key": key, "trips": trips})

    def _found(self, request: Request) -> Any:
        found = self._trips.find(request.path_params["request_id"])
        if found is None:
            raise Refused(404, "entity_not_found", "The requested trip could not be found.")
        return found

    async def _read(self, request: Request) -> Response:
        return JSONResponse(self._trips.show(*self._found(request)))

    async def _cancel(self, request: Request) -> Response:
        booking, asked = self._found(request)
        status, _ = self._trips.status(booking, asked, self._world.now())
        if status in ENDED or status in ("in_progress", "expired"):
            raise Refused(409, "conflict", f"A trip that is {status} cannot be canceled.")
        self._trips.cancel(booking, asked)
        return Response(status_code=204)

    async def _create(self, request: Request) -> Response:
        body = await _body(request)
        guest = body.get("guest")
        names = ("first_name", "last_name", "phone_number")
        if not isinstance(guest, dict) or not all(isinstance(guest.get(name), str) for name in names):
            raise _invalid("guest.first_name, guest.last_name and guest.phone_number are required")
        if not _PHONE.fullmatch(guest["phone_number"]):
            raise _invalid(f"guest.phone_number {guest['phone_number']} is not in E.164 format")
        pickup, dropoff = _place(body, "pickup"), _place(body, "dropoff")
        product = next((name for name, key in PRODUCTS.items() if key == body.get("product_id")), None)
        if product is None:
            raise _invalid("product_id is unknown")
        now, fare_id = self._world.now(), body.get("fare_id")
        fare = self._fares.get(fare_id) if fare_id is not None else None
        if fare_id is not None and (fare is None or fare.expires <= now or fare.product != product):
            raise Refused(422, "fare_expired", "The fare has expired. Please request a new estimate.")
        scheduled = _pickup_time(body)
        if scheduled is not None and scheduled <= now:
            raise _invalid("scheduling.pickup_time is in the past")
        run = request.headers.get("x-uber-sandbox-runuuid")
        if run is not None and run not in self._runs:
            raise _invalid("x-uber-sandbox-runuuid names no run")
        booking = self._world.bookings.request(
            str(uuid4()),
            now,
            (guest["first_name"], guest["last_name"], guest["phone_number"]),
            pickup,
            dropoff,
            scheduled_for=scheduled,
        )
        trip = Asked(booking, product, pickup_day=_day(body), run_id=run)
        self._trips.keep(trip)
        told = self._trips.show(booking, trip)
        chosen = {name: told[name] for name in ("request_id", "status", "surge_multiplier", "guest")}
        return JSONResponse({**chosen, "product_id": PRODUCTS[product]})

    async def _dispatch(self, request: Request) -> Response:
        _, asked = self._found(request)
        now = self._world.now()
        if asked is None or asked.pickup_day is None or asked.dispatched or asked.status_at(now)[0] != "scheduled":
            raise Refused(404, "entity_not_found", "This ride can no longer be dispatched.")
        asked.dispatched = True
        asked.booking = begun(asked.booking, now)
        return JSONResponse({})

    async def _receipt(self, request: Request) -> Response:
        booking, asked = self._found(request)
        status, _ = self._trips.status(booking, asked, self._world.now())
        if status != "completed":
            raise Refused(404, "entity_not_found", "There is no receipt for this trip yet.")
        ride = int((booking.dropoff_at - booking.pickup_at).total_seconds())
        text = f"₦{booking.fare:,.2f}"
        return JSONResponse(
            {
                "request_id": booking.id,
                "charges": [{"name": "Trip fare", "amount": float(booking.fare)}],
                "charge_adjustments": [],
                "subtotal": text,
                "total_fare": text,
                "total_charged": text,
                "total_owed": None,
                "currency_code": booking.currency,
                "duration": f"{ride // 3600:02d}:{ride // 60 % 60:02d}:{ride % 60:02d}",
                "distance": f"{booking.distance_m / METRES_PER_MILE:.2f}",
                "distance_label": "miles",
            }
        )

    # --- prices

    async def _estimates(self, request: Request) -> Response:
        body = await _body(request)
        pickup, dropoff = _place(body, "pickup"), _place(body, "dropoff")
        _pickup_time(body)
        start = pickup.latitude, pickup.longitude
        if min(distance_m(start, site.point) for site in SITES) > SERVED_M:
            return JSONResponse({"etas_unavailable": True, "fares_unavailable": True, "product_estimates": []})
        metres = distance_m(start, (dropoff.latitude, dropoff.longitude)) * 1.3
        seconds = round(metres / 8)
        away = min(distance_m(start, _spot(car.state_at(self._world.now()))) for car in self._world.cars)
        now = self._world.now()
        rows: list[dict[str, Any]] = []
        for name, factor in _FACTORS.items():
            tens = int((700 + metres * 0.22 + seconds * 0.9) / 10) + 1
            fare = _Fare(name, (Decimal(tens * 10) * factor).quantize(Decimal("0.01")), now + FARE_VALID)
            fare_id = str(uuid4())
            self._fares[fare_id] = fare
            rows.append(_estimate(name, fare_id, fare, metres, seconds, away))
        while len(self._fares) > FARES_KEPT:
            self._fares.popitem(last=False)
        return JSONResponse({"etas_unavailable": False, "fares_unavailable": False, "product_estimates": rows})

    # --- sandbox

    async def _run(self, request: Request) -> Response:
        body = await _body(request)
        drivers = body.get("driver_locations")
        if not isinstance(drivers, list) or not 1 <= len(drivers) <= 10:
            raise _invalid("driver_locations must hold 1 to 10 places")
        run_id = str(uuid4())
        self._runs[run_id] = [str(uuid4()) for _ in drivers]
        while len(self._runs) > 100:
            self._runs.popitem(last=False)
        return JSONResponse({"run_id": run_id, "drivers": [{"driver_id": one} for one in self._runs[run_id]]})

    async def _driver_state(self, request: Request) -> Response:
        body = await _body(request)
        run_id, state = str(body.get("run_id")), body.get("driver_state")
        if run_id not in self._runs or body.get("driver_id") not in self._runs[run_id]:
            raise Refused(404, "entity_not_found", "The run or its driver could not be found.")
        if state in ("GO_ONLINE", "GO_OFFLINE"):
            return JSONResponse({})
        if state not in DRIVER_STATES:
            raise _invalid("driver_state is unknown")
        if not self._trips.drive(run_id, state):
            raise Refused(409, "conflict", "The driver has no trip to which this may happen.")
        return JSONResponse({})


def _spot(state: Any) -> tuple[float, float]:
    return state.latitude, state.longitude


def _estimate(name: str, fare_id: str, fare: _Fare, metres: float, seconds: int, away: float) -> dict[str, Any]:
    return {
        "product": {"product_id": PRODUCTS[name], "display_name": name, "capacity": 6 if name == "UberXL" else 4},
        "estimate_info": {
            "fare": {
                "fare_id": fare_id,
                "value": float(fare.value),
                "currency_code": "NGN",
                "display": f"₦{fare.value:,.2f}",
                "expires_at": int(fare.expires.timestamp()),
            },
            "trip": {
                "distance_unit": "mile",
                "distance_estimate": round(metres / METRES_PER_MILE, 2),
                "duration_estimate": seconds,
            },
            "pickup_estimate": max(1, round(away / 8 / 60)),
        },
    }


def _invalid(message: str) -> Refused:
    return Refused(400, "validation_failed", message)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as exc:
        raise _invalid("the body is not JSON") from exc
    if not isinstance(body, dict):
        raise _invalid("the body is not an object")
    return body


def _place(body: Mapping[str, Any], name: str) -> Place:
    given = body.get(name)
    point = (given.get("latitude"), given.get("longitude")) if isinstance(given, dict) else (None, None)
    latitude, longitude = point
    if (
        not isinstance(latitude, int | float)
        or not isinstance(longitude, int | float)
        or not (-90 <= latitude <= 90 and -180 <= longitude <= 180)
    ):
        raise _invalid(f"{name}.latitude and {name}.longitude are required")
    assert isinstance(given, dict)
    return Place(str(given.get("address", "Somewhere")), float(latitude), float(longitude))


def _pickup_time(body: Mapping[str, Any]) -> datetime | None:
    """Of `scheduling`, milliseconds."""
    given = body.get("scheduling")
    if given is None:
        return None
    value = given.get("pickup_time") if isinstance(given, dict) else None
    if not isinstance(value, int) or value < 1_000_000_000_000:
        raise _invalid("scheduling.pickup_time must be a timestamp in milliseconds")
    return datetime.fromtimestamp(value / 1000, UTC)


def _day(body: Mapping[str, Any]) -> date | None:
    given = body.get("deferred_ride_options")
    if given is None:
        return None
    try:
        return date.fromisoformat(given["pickup_day"])
    except (KeyError, TypeError, ValueError) as exc:
        raise _invalid("deferred_ride_options.pickup_day must be YYYY-MM-DD") from exc


async def _answer(request: Request, refused: Refused) -> Response:
    told: dict[str, Any] = {"message": refused.message, "code": refused.code}
    if refused.status == 404:
        told = {"message": refused.message, "metadata": {"statusCode": "404"}, "code": refused.code}
    return JSONResponse(told, refused.status, {"x-uber-request-id": str(uuid4())})


async def _other(request: Request, exc: HTTPException) -> Response:
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "error")
    return JSONResponse({"message": exc.detail, "code": code}, exc.status_code)
