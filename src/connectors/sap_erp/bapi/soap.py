"""Function modules over SOAP: messages by zeep, the way there by the kit."""

import asyncio
from collections.abc import Sequence
from typing import Final

from connectors.kit.http import Api
from connectors.sap_erp.bapi import wsdl
from connectors.sap_erp.bapi.functions import Answered, Values

_LARGE: Final = 256 << 10
"""Bytes of an answer that are parsed in a thread, so that others need not wait."""


class SoapFunctions:
    """`path` is the gateway; `params` go with every call (`sap-client`)."""

    def __init__(self, api: Api, path: str, params: Sequence[tuple[str, str]], *, wsdl_file: str | None) -> None:
        self._api, self._path, self._params, self._file = api, path, list(params), wsdl_file

    async def call(self, name: str, parameters: Values) -> Answered:
        """Reads only, so that it is retried, shared with an identical call, and falls back to the last good answer."""
        described = await asyncio.to_thread(wsdl.load, self._file)
        content, headers = described.message(name, parameters)
        request = self._api.build("POST", self._path, params=self._params, content=content, headers=headers)
        answer, origin = await self._api.read_bytes(request)
        if len(answer) > _LARGE:
            values = await asyncio.to_thread(described.values, name, answer)
        else:
            values = described.values(name, answer)
        return Answered(values, origin)

    async def aclose(self) -> None:
        """The connection is the API's."""
