"""What became of a request, as one `events.Answered`, given to whoever counts or writes it down.

The edge notes on the request what it was about, handlers note which mirror gave the bytes; the rest is read off the
response when its last byte has gone. It writes nothing and counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from pypicache.events import Answered, Kind, Outcome, Taker
from pypicache.index.locate import SIDECAR
from pypicache.web import places
from pypicache.web.address import Network, client_address
from pypicache.web.ledger import Ledger
from pypicache.web.request import Request

BROKEN = 499
"""What stands for the status where there was none or not all of a response: nginx's number for a client that has left."""

_PREFIX = "pypicache; "
_COLLAPSED = "; collapsed"

_OUTCOMES: dict[str, Outcome] = {
    "hit": "hit",
    "hit; detail=head": "hit",
    "hit; detail=stale-while-revalidate": "stale",
    "hit; detail=stale-if-error": "stale_if_error",
    "hit; detail=negative": "negative",
    "fwd=miss; stored": "miss",
    "fwd=stale; stored": "revalidated",
    "fwd=miss; detail=negative": "absent",
    "detail=not-listed": "refused",
    "detail=denied": "refused",
    "fwd=miss; detail=wrong-bytes": "failed",
    "fwd=miss; detail=no-answer": "failed",
}


class Recorder(AbstractAccessLogger):
    """Gives every answered request to `takers`. The server calls `log` when a response has gone out or broken off."""

    def __init__(self, takers: Sequence[Taker], ledger: Ledger) -> None:
        self._takers = tuple(takers)
        self._ledger = ledger
        self.trusted: Sequence[Network] = ()
        """Proxies that are believed when they say who the client is."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note that the request was answered; `time` is by the event loop's clock, in seconds."""
        record = record_of(request, response, time, self.trusted)
        if isinstance(request, Request):
            request.record = record
        self._ledger.settle()  # what was before it is told before it
        for taker in self._takers:
            taker.take(record)


def record_of(
    request: web.BaseRequest,
    response: web.StreamResponse,
    seconds: float,
    trusted: Sequence[Network] = (),
) -> Answered:
    """The request and its answer as a record."""
    kind: Kind = "other"
    index = subject = mirror = name = ""
    if isinstance(request, Request):
        seconds, mirror, name = request.seconds, request.mirror, request.name
        kind, index, subject = about(request.place)
    return Answered(
        index=index,
        kind=kind,
        subject=subject,
        method=request.method,
        path=request.rel_url.raw_path,
        client=client_of(request, trusted),
        status=response.status,
        sent=sent(request, response),
        seconds=seconds,
        outcome=outcome(response.headers.get("Cache-Status")),
        mirror=mirror,
        request_id=name,
    )


def client_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The client's address; the `trusted` proxies are believed when they say whose request it is. Empty where there is none."""
    if not trusted or not request.headers:  # what couldn't be parsed has none: aiohttp gives it a plain dict
        return request.remote or ""
    return client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted)


def outcome(cache_status: str | None) -> Outcome:
    """What a Cache-Status of ours says, as one word; a request that shared another's question or download is `shared`."""
    if cache_status is None:
        return "none"
    said = cache_status.removeprefix(_PREFIX)
    if said.endswith(_COLLAPSED):
        return "shared"
    return _OUTCOMES.get(said, "none")


def about(place: places.Route | None) -> tuple[Kind, str, str]:
    """The kind of what is at that place, its index, and the project or file: empty where there is none."""
    match place:
        case places.ProjectPage(index, project):
            return "page", index, project
        case places.FilePath(index, path):
            return ("sidecar" if path[-1].endswith(SIDECAR) else "file"), index, path[-1]
        case places.ProjectList(index):
            return "list", index, ""
        case places.LegacyJSON(index, project):
            return "legacy", index, project
    return "other", "", ""


def sent(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """The bytes of the body that went out: none to HEAD, and fewer than Content-Length says when it broke off."""
    if request.method == hdrs.METH_HEAD or response.status == 304:  # noqa: PLR2004 - Not Modified
        return 0
    if response.status == BROKEN:  # it stands for another one, of which so much went out, headers included
        return request.writer.output_size
    if isinstance(request, Request) and request.sent is not None:
        return request.sent
    if isinstance(response, web.Response):
        return len(response.body) if isinstance(response.body, bytes | bytearray) else 0
    missing: int | None = getattr(request.writer, "length", None)
    if missing is not None and response.content_length is not None:
        return response.content_length - missing
    return request.writer.output_size
