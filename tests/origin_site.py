"""What the scripted origin serves, and which answers a test has ordered to go wrong.

A site is pages, files, sidecars and scripts. It turns a request into a Reply and sends nothing; tests change it
from their own thread at any time, and the next request sees the change.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Unpack

from packaging.utils import canonicalize_name

from tests.origin_faults import Action, Redirect, Status
from tests.origin_pages import (
    HTML,
    CoreMetadata,
    Entry,
    Page,
    PageOptions,
    default_path,
    modified,
    negotiated,
    render,
    render_index,
    render_legacy,
)
from tests.origin_reply import Reply, Representation, answer
from tests.origin_wire import Request
from tests.wheels import Artifact

Match = str | Callable[[Request], bool]
"""Which requests a script is for: a path or the end of one, from a segment's beginning; or a predicate."""


@dataclass(slots=True)
class Script:
    """Actions that wait for their requests."""

    match: Match
    actions: list[Action]
    repeat: bool

    def takes(self, request: Request) -> bool:
        """Whether the next action is for this request."""
        if not self.actions:
            return False
        if callable(self.match):
            return self.match(request)
        return ("/" + request.path.lstrip("/")).endswith("/" + self.match.lstrip("/"))

    def next(self) -> Action:
        """The next action, used up unless it is the last and repeats."""
        return self.actions[0] if self.repeat and len(self.actions) == 1 else self.actions.pop(0)


class Site:
    """Projects and files, as tests put them there."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pages: dict[str, Page] = {}
        self._files: dict[str, Entry] = {}
        self._scripts: list[Script] = []
        self.legacy = False
        """Whether `/pypi/{project}/json` is served."""
        self.file_headers: Mapping[str, str] = {}
        """Further headers of every file."""

    def add(
        self,
        item: Artifact,
        *,
        yanked: bool | str = False,
        requires_python: str | None = None,
        core_metadata: CoreMetadata = True,
        hashes: Mapping[str, str] | None = None,
        size: bool | int = True,
        upload_time: str | None = "2024-01-01T00:00:00.000000Z",
        path: str | None = None,
        url: str | None = None,
        extra: Mapping[str, object] | None = None,
        etag: bool | str = True,
        listed: bool = True,
    ) -> Entry:
        """List a file on its project's page and serve it; one of the same filename is replaced.

        `core_metadata`: True advertises the sidecar with its hash, "bare" without, False has none; a mapping is
        the hashes to advertise, true or not. `hashes` None: the right sha256. `size` True: the right one, False:
        none. `path`: where it is served; `url`: the link, if it isn't to there. `etag` False: no validators.
        """
        given = f'"{item.sha256[:32]}"' if etag is True else etag or None
        entry = Entry(
            artifact=item,
            path=path or default_path(item),
            url=url,
            hashes={"sha256": item.sha256} if hashes is None else hashes,
            size=(len(item.data) if size else None) if isinstance(size, bool) else size,
            core_metadata=core_metadata if item.metadata is not None else False,
            requires_python=requires_python or item.requires_python,
            yanked=yanked,
            upload_time=upload_time,
            extra=extra or {},
            etag=given,
            listed=listed,
        )
        with self._lock:
            page = self.project(item.name)
            others = tuple(e for e in page.entries if e.artifact.filename != item.filename)
            self._pages[page.name] = replace(page, entries=(*others, entry), revision=page.revision + 1)
            self._files[entry.path] = entry
        return entry

    def project(self, name: str, **options: Unpack[PageOptions]) -> Page:
        """The project's page, made if there is none, with these options changed (see `Page`)."""
        key = canonicalize_name(name)
        with self._lock:
            page = self._pages.get(key)
            if page is None or options:
                page = page or Page(name=key)
                page = self._pages[key] = replace(page, revision=page.revision + 1, **options)
        return page

    def remove(self, name: str) -> None:
        """The project is gone: its page is a 404 from now on; its files stay where they are."""
        with self._lock:
            del self._pages[canonicalize_name(name)]

    def remove_file(self, filename: str, *, keep_bytes: bool = False) -> None:
        """Take a file off its page, and away unless `keep_bytes`."""
        with self._lock:
            for page in list(self._pages.values()):
                entries = tuple(e for e in page.entries if e.artifact.filename != filename)
                if entries != page.entries:
                    self._pages[page.name] = replace(page, entries=entries, revision=page.revision + 1)
            if not keep_bytes:
                self._files = {p: e for p, e in self._files.items() if e.artifact.filename != filename}

    def script(self, match: Match, *actions: Action, repeat: bool = False) -> Script:
        """Each matching request takes the next action; with `repeat` the last one stays.

        The first script that matches and has an action left decides. A filename matches that file, not its sidecar.
        """
        script = Script(match, list(actions), repeat)
        with self._lock:
            self._scripts.append(script)
        return script

    def heal(self) -> None:
        """Forget all scripts: everything is answered right from now on."""
        with self._lock:
            self._scripts.clear()

    def respond(self, request: Request, base: str) -> Reply:
        """The reply to a request, spoiled by the script that is for it."""
        with self._lock:
            right = self._right(request, base)
            script = next((s for s in self._scripts if s.takes(request)), None)
            action = script.next() if script else None
        return action(right) if action else right

    def _right(self, request: Request, base: str) -> Reply:
        missing = Status(404)(Reply(status=404))
        if request.method not in {"GET", "HEAD"}:
            return Status(405, {"Allow": "GET, HEAD"})(missing)
        what = self._file(request.path) or self._index(request, base)
        return (
            what
            if isinstance(what, Reply)
            else answer(request.method, request.headers, what)
            if what
            else missing
        )

    def _file(self, path: str) -> Representation | None:
        entry = self._files.get(path)
        if entry is not None:
            return Representation(
                data=entry.artifact.data,
                content_type="application/octet-stream",
                etag=entry.etag,
                last_modified=modified(0) if entry.etag else None,
                ranges=True,
                headers=self.file_headers,
            )
        entry = self._files.get(path.removesuffix(".metadata"))
        if entry is None or not entry.has_sidecar or entry.artifact.metadata is None:
            return None
        data = entry.artifact.metadata
        return Representation(
            data=data, content_type="application/octet-stream", etag=_etag(data), ranges=True
        )

    def _index(self, request: Request, base: str) -> Representation | Reply | None:
        match request.path.strip("/").split("/"):
            case ["simple"]:
                kind = negotiated(Page(name=""), request.headers.get("accept", ""))
                data = render_index(sorted(self._pages), kind)
                return Representation(data=data, content_type=kind, etag=_etag(data))
            case ["simple", name]:
                key = canonicalize_name(name)
                if request.path != f"/simple/{key}/":
                    return Redirect(f"/simple/{key}/", 301)(Reply(status=301))
                page = self._pages.get(key)
                return _page(page, request.headers, base) if page else None
            case ["pypi", name, "json"] if self.legacy and canonicalize_name(name) in self._pages:
                data = render_legacy(self._pages[canonicalize_name(name)], base)
                return Representation(data=data, content_type="application/json")
        return None


def _page(page: Page, headers: Mapping[str, str], base: str) -> Representation | Reply:
    kind = negotiated(page, headers.get("accept", ""))
    data = render(page, kind, base)
    extra = {"Vary": "Accept, Accept-Encoding", **page.headers}
    if page.gzip and "gzip" in headers.get("accept-encoding", ""):
        data = gzip.compress(data, mtime=0)
        extra["Content-Encoding"] = "gzip"
    content_type = page.content_type or (f"{HTML}; charset=utf-8" if kind == HTML else kind)
    if page.status != 200:
        return Status(page.status, {"Content-Type": content_type, **extra}, data)(Reply(status=200))
    return Representation(
        data=data,
        content_type=content_type,
        etag=_etag(data) if page.etag is True else page.etag or None,
        last_modified=modified(page.revision) if page.last_modified else None,
        headers=extra,
    )


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
