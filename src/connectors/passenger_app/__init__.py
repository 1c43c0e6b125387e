"""Ride-hail: the dialect of Uber Guest Rides v1 (bookings for guests without an account).

Oddities: no batch read; 200 calls an hour per endpoint; the 101st token of an hour kills the first; webhooks are
thin, repeated and out of order; times are seconds in webhooks and milliseconds in trips; distances are miles,
`eta` minutes; a trip's fare is text with a sign of currency.
"""

from connectors.passenger_app.connector import PassengerApp

CONNECTOR = PassengerApp

__all__ = ["CONNECTOR", "PassengerApp"]
