"""Connections through a SOCKS proxy. Only imported where there is one: what it takes would make each start longer."""

from __future__ import annotations

from typing import Any

from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError

from pypicache.upstream.faults import ProxyFailed


class Connector(ProxyConnector):
    """Makes connections through a SOCKS proxy, and says in one way that it couldn't."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """See aiohttp's. Raises ProxyFailed."""
        try:
            return await super().connect(*args, **kwargs)
        except (ProxyError, ProxyConnectionError, ProxyTimeoutError) as error:
            raise ProxyFailed from error
