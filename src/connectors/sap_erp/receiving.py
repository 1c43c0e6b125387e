"""IDocs as they come in: who may send, what is kept, what is answered."""

import base64
import binascii
import hmac
from collections.abc import Callable
from datetime import datetime

from connectors.kit.errors import SignatureInvalid
from connectors.kit.integration import Integration
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.services import Metrics
from connectors.sap_erp.decoders import IDOC
from connectors.sap_erp.idoc.acknowledge import ADDED, IGNORED, Taken, aleaud
from connectors.sap_erp.idoc.mapping import reader
from connectors.sap_erp.idoc.package import Document, Package
from connectors.sap_erp.idoc.segments import Control
from connectors.sap_erp.settings import Settings
from unified.values import System


def verify(integration: Integration, payload: Payload) -> None:
    """HTTP Basic with the credentials that SAP's HTTP destination has; compared in constant time.

    Raises `SignatureInvalid`; without configured credentials nobody is believed.
    """
    user, password = (integration.credentials.get(name) for name in ("idoc_user", "idoc_password"))
    if not user or not password:
        raise SignatureInvalid(
            f"{integration.key}: no `idoc_user` and `idoc_password` are configured; no IDoc is believed"
        )
    given_user, given_password = _basic(payload.headers.get("authorization", ""))
    # both are compared always, so that the time does not tell which of them was wrong
    right_user = hmac.compare_digest(user.reveal().encode(), given_user)
    right_password = hmac.compare_digest(password.reveal().encode(), given_password)
    if not (right_user and right_password):
        raise SignatureInvalid(f"{integration.key}: the IDoc's user or password is not the configured one")


def _basic(header: str) -> tuple[bytes, bytes]:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        user, _, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return user, password


class IdocPackage:
    """One request's IDocs: `feed` it the body as it comes, keep what it gives, `close` it, send its `answer`."""

    def __init__(self, settings: Settings, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._settings, self._metrics, self._now = settings, metrics, now
        self._package = Package()
        self._taken: list[Taken] = []
        self._first: Control | None = None

    def feed(self, chunk: bytes) -> list[Raw]:
        return self._kept(self._package.feed(chunk))

    def close(self) -> list[Raw]:
        return self._kept(self._package.close())

    def answer(self) -> Payload:
        """SAP's HTTP port takes status 200 for delivered and looks no further."""
        if self._settings.acknowledgement == "empty" or self._first is None:
            return Payload(body=b"")
        body = aleaud(self._first, self._taken, self._now())
        return Payload(body=body, headers={"content-type": "text/xml; charset=utf-8"})

    def _kept(self, documents: list[Document]) -> list[Raw]:
        found: list[Raw] = []
        for document in documents:
            control = document.control
            self._first = self._first or control
            ignored = self._ignored(control)
            if ignored is not None:
                self._metrics.unknown_code(System.SAP_ERP.value, *ignored)
            else:
                found.append(
                    Raw(
                        delivery_id=f"idoc/{control.sndprn}/{control.docnum}",
                        decoder=IDOC,
                        payload=Payload(body=document.body, headers={"content-type": "text/xml; charset=utf-8"}),
                    )
                )
            self._taken.append(Taken(control.docnum, ADDED if ignored is None else IGNORED))
        return found

    def _ignored(self, control: Control) -> tuple[str, str] | None:
        """Field and value that say why a document is not kept; null for one that is."""
        if self._settings.senders and control.sndprn not in self._settings.senders:
            return "SNDPRN", control.sndprn[:80]
        return None if reader(control) else ("IDOCTYP", control.idoctyp[:80])
