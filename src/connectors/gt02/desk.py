"""What is known of the registered trackers now, and the deliveries that what they say becomes."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from connectors.gt02 import deliveries, known
from connectors.gt02.known import Known
from connectors.gt02.once import Once
from connectors.gt02.session import Heard, Session
from connectors.gt02.settings import Tracker
from connectors.kit.errors import BadPayload
from connectors.kit.protocols import Raw
from connectors.kit.services import Services

NOTHING = Known()


class Desk:
    """Of one integration. `state` is what is known of each tracker that has ever been heard."""

    def __init__(self, registry: Mapping[str, Tracker], services: Services, integration: str) -> None:
        self._registry, self._services, self._integration = registry, services, integration
        self._once = Once(services.clock)
        self._sequence = 0
        self.heard_at: datetime | None = None
        """When a tracker said something last."""
        self.state: dict[str, Known] = {}

    @property
    def online(self) -> list[str]:
        """Trackers that are thought to be there."""
        return [imei for imei, each in self.state.items() if each.online]

    def report(self, heard: Heard, session: Session, now: datetime) -> Raw | None:
        """Null for a frame that says nothing that can be used: it is answered, or it would come for ever."""
        frame, device = heard.frame, heard.device
        assert device is not None
        self.heard_at = now
        try:
            report = deliveries.read(frame, device, session.offset_minutes)
        except BadPayload as fault:
            self._tell("vendor.bad_frame", device.imei, error=fault.message, path=fault.path)
            return None
        if report.doubtful is not None:
            self._tell("vendor.doubtful_frame", device.imei, field=report.doubtful, type=f"{frame.type:02x}")
        if not frame.good_crc and not frame.ragged:
            self._tell("vendor.bad_checksum", device.imei, type=f"{frame.type:02x}")
        if known.is_ahead(report, now):
            self._tell("vendor.clock_ahead", device.imei, hint="write the `zone` of its clock among the settings")
        before = self.state.get(device.imei, NOTHING)
        self.state[device.imei] = known.after(before, report, now, good_crc=frame.good_crc)
        return deliveries.of_frame(
            frame,
            report,
            device.imei,
            received=now,
            sequence=self._next(),
            offset=session.offset_minutes,
            before=before,
        )

    def online_again(self, device: Tracker, now: datetime) -> Raw | None:
        before = self.state.get(device.imei, NOTHING)
        self.state[device.imei] = msgspec.structs.replace(before, online=True, heard_at=now)
        if before.online:
            return None
        return deliveries.of_link(device.imei, online=True, received=now, sequence=self._next(), before=before)

    def offline(self, imei: str, now: datetime) -> Raw | None:
        before = self.state.get(imei, NOTHING)
        if not before.online or imei not in self._registry:
            return None
        self.state[imei] = msgspec.structs.replace(before, online=False)
        return deliveries.of_link(imei, online=False, received=now, sequence=self._next(), before=before)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _tell(self, event: str, imei: str, **facts: object) -> None:
        """Once an hour for each tracker."""
        if self._once.first(event, imei):
            self._services.log.warning(event, integration=self._integration, device=imei, **facts)
