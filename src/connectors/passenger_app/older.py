"""Uber Riders API v1.2 and what it shares with Guest Rides: products, estimates, quotes, receipts, tokens.

The connector calls none of it; `crossdock decode` reads it, since customers' saved answers are of this form.
Time estimates are seconds here, `pickup_estimate` minutes, distances miles.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from connectors.kit import decode
from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.passenger_app import answers, wire
from connectors.passenger_app.mapping import amount_of, instant, kilometres, money, seconds
from unified import records
from unified.values import Money, Value

# --- values


class RideProduct(Value, frozen=True, kw_only=True):
    product_id: str
    name: str
    capacity: int | None = None
    group: str | None = None
    shared: bool | None = None
    upfront_fare: bool | None = None
    cash: bool | None = None


class PickupTime(Value, frozen=True, kw_only=True):
    product_id: str
    product: str
    pickup_eta_seconds: int


class Charge(Value, frozen=True, kw_only=True):
    name: str
    amount: Money | None


class Receipt(Value, frozen=True, kw_only=True):
    """`total_owed` is null when nothing is owed any more."""

    request_id: str
    subtotal: Money | None = None
    total_fare: Money | None = None
    total_charged: Money | None = None
    total_owed: Money | None = None
    charges: tuple[Charge, ...] = ()
    adjustments: tuple[Charge, ...] = ()
    distance_km: float | None = None
    duration_seconds: int | None = None


class PaymentMethod(Value, frozen=True, kw_only=True):
    method_id: str
    method_type: str
    last_used: bool


class TokenGrant(Value, frozen=True, kw_only=True):
    """A token's facts, without the token."""

    token_type: str | None = None
    scope: str | None = None
    expires_in_seconds: float | None = None


class Surge(Value, frozen=True, kw_only=True):
    """A ride that is only had at a higher price, which the guest must confirm."""

    confirmation_id: str
    multiplier: float
    expires_at: datetime | None = None


class Refusal(Value, frozen=True, kw_only=True):
    """An error answer of either form."""

    status: int | None = None
    code: str | None = None
    message: str | None = None
    surge: Surge | None = None


# --- wire


class _Product(msgspec.Struct):
    product_id: str
    display_name: str
    capacity: int | None = None
    product_group: str | None = None
    shared: bool | None = None
    upfront_fare_enabled: bool | None = None
    cash_enabled: bool | None = None


class _Products(msgspec.Struct):
    products: list[_Product]


class _Price(msgspec.Struct):
    product_id: str
    display_name: str
    distance: Decimal | None = None
    duration: int | None = None
    low_estimate: Decimal | None = None
    high_estimate: Decimal | None = None
    estimate: str | None = None
    currency_code: str | None = None
    surge_multiplier: float | None = None


class _Prices(msgspec.Struct):
    prices: list[_Price]


class _Time(msgspec.Struct):
    product_id: str
    display_name: str
    estimate: int


class _Times(msgspec.Struct):
    times: list[_Time]


class _Quote(msgspec.Struct):
    fare: wire.Fare
    trip: wire.Way | None = None
    pickup_estimate: float | None = None


class _Charge(msgspec.Struct):
    name: str
    amount: str | float | None = None


class _Receipt(msgspec.Struct):
    request_id: str
    subtotal: str | float | None = None
    total_fare: str | float | None = None
    total_charged: str | float | None = None
    total_owed: str | float | None = None
    charges: list[_Charge] | None = None
    charge_adjustments: list[_Charge] | None = None
    currency_code: str | None = None
    distance: Decimal | None = None
    distance_label: str | None = None
    duration: str | None = None


class _Method(msgspec.Struct):
    payment_method_id: str
    type: str


class _Methods(msgspec.Struct):
    payment_methods: list[_Method]
    last_used: str | None = None


class _Token(msgspec.Struct):
    token_type: str | None = None
    scope: str | None = None
    expires_in: float | None = None


class _Confirmation(msgspec.Struct):
    surge_confirmation_id: str
    multiplier: float
    expires_at: wire.Epoch = None


# --- readers


def products(payload: Payload, _origin: Origin) -> Iterable[RideProduct]:
    return [
        RideProduct(
            product_id=each.product_id,
            name=each.display_name,
            capacity=each.capacity,
            group=each.product_group,
            shared=each.shared,
            upfront_fare=each.upfront_fare_enabled,
            cash=each.cash_enabled,
        )
        for each in decode.json(payload.body, _Products).products
    ]


def prices(payload: Payload, origin: Origin) -> Iterable[records.PriceEstimate]:
    """`estimate` may be "Metered": then there are no bounds."""
    return [
        records.PriceEstimate(
            source=origin.source(each.product_id),
            product=each.display_name,
            low=money(each.low_estimate, each.currency_code),
            high=money(each.high_estimate, each.currency_code),
            display=decode.none(each.estimate),
            surge_multiplier=each.surge_multiplier,
            distance_km=kilometres(each.distance, None),
            duration_seconds=each.duration,
        )
        for each in decode.json(payload.body, _Prices).prices
    ]


def times(payload: Payload, _origin: Origin) -> Iterable[PickupTime]:
    return [
        PickupTime(product_id=each.product_id, product=each.display_name, pickup_eta_seconds=each.estimate)
        for each in decode.json(payload.body, _Times).times
    ]


def quote(payload: Payload, origin: Origin) -> Iterable[records.PriceEstimate]:
    """A quote does not name its product; whoever asked knows it."""
    given = decode.json(payload.body, _Quote)
    token, way = decode.none(given.fare.fare_id), given.trip or wire.Way()
    if token is None:
        raise MappingFailed("the quote has no fare", path="$.fare.fare_id")
    return [
        records.PriceEstimate(
            source=origin.source(token),
            product="unknown",
            amount=money(given.fare.value, given.fare.currency_code),
            display=decode.none(given.fare.display),
            distance_km=kilometres(way.distance_estimate, way.distance_unit),
            duration_seconds=None if way.duration_estimate is None else round(way.duration_estimate),
            pickup_eta_seconds=seconds(given.pickup_estimate),
            token=token,
            expires_at=instant(given.fare.expires_at, path="$.fare.expires_at"),
        )
    ]


_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)")


def receipt(payload: Payload, _origin: Origin) -> Iterable[Receipt]:
    given = decode.json(payload.body, _Receipt)
    currency = given.currency_code

    def sum_of(text: str | float | None) -> Money | None:
        return money(amount_of(text, currency), currency)

    def charges(rows: list[_Charge] | None) -> tuple[Charge, ...]:
        return tuple(Charge(name=each.name, amount=sum_of(each.amount)) for each in rows or ())

    duration = decode.none(given.duration)
    parts = _CLOCK.fullmatch(duration) if duration else None
    if duration and parts is None:
        raise MappingFailed("`$.duration` is not hours:minutes:seconds", path="$.duration")
    return [
        Receipt(
            request_id=given.request_id,
            subtotal=sum_of(given.subtotal),
            total_fare=sum_of(given.total_fare),
            total_charged=sum_of(given.total_charged),
            total_owed=sum_of(given.total_owed),
            charges=charges(given.charges),
            adjustments=charges(given.charge_adjustments),
            distance_km=kilometres(given.distance, given.distance_label),
            duration_seconds=int(parts[1]) * 3600 + int(parts[2]) * 60 + int(parts[3]) if parts else None,
        )
    ]


def methods(payload: Payload, _origin: Origin) -> Iterable[PaymentMethod]:
    given = decode.json(payload.body, _Methods)
    return [
        PaymentMethod(
            method_id=each.payment_method_id,
            method_type=each.type,
            last_used=each.payment_method_id == given.last_used,
        )
        for each in given.payment_methods
    ]


def token(payload: Payload, _origin: Origin) -> Iterable[TokenGrant]:
    given = decode.json(payload.body, _Token)
    return [TokenGrant(token_type=given.token_type, scope=given.scope, expires_in_seconds=given.expires_in)]


def refusal(payload: Payload, _origin: Origin) -> Iterable[Refusal]:
    found = answers.fault(payload.body)
    if found is None:
        raise MappingFailed("the payload names no error", path="$")
    surge = None
    if found.meta and "surge_confirmation" in found.meta:
        try:
            given = msgspec.convert(found.meta["surge_confirmation"], _Confirmation, strict=False)
        except msgspec.ValidationError:
            raise MappingFailed("the surge confirmation is incomplete", path="$.meta.surge_confirmation") from None
        surge = Surge(
            confirmation_id=given.surge_confirmation_id,
            multiplier=given.multiplier,
            expires_at=instant(given.expires_at, path="$.meta.surge_confirmation.expires_at"),
        )
    status = found.status or (payload.status if payload.status >= 400 else None)
    return [Refusal(status=status, code=found.name, message=found.words, surge=surge)]
