"""Laws of the rules, whatever the input: hostile headers, odd sizes, any order of events."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from pypicache.rules.addresses import forbidden
from pypicache.rules.breaker import REFUSAL_LIMIT, Breaker, State
from pypicache.rules.conditional import is_strong, not_modified, wants_revalidation
from pypicache.rules.freshness import (
    Freshness,
    Windows,
    assess,
    assess_absence,
    clamp_age,
    jitter,
    refresh_ahead,
    undisturbed,
)
from pypicache.rules.ranges import (
    Slice,
    Unsatisfiable,
    Whole,
    content_range,
    parse_content_range,
    parse_unsatisfied,
    resolve,
)
from pypicache.rules.redirects import Refused, follow, same_origin
from pypicache.rules.resume import Append, Refuse, SkipThenAppend, StartOver, judge
from pypicache.rules.retry import CAP, retry_after

# Header text: anything, and things made of the pieces that the parsers look for.
WORDS = """bytes W/ no-cache max-age GMT Sun, 06 Nov 1994 08:49:37 0 1 http https:// x \udcff \u0662 \ud800"""
PIECES = st.sampled_from([*WORDS.split(), *'",;=-*/% \t\\[]@:', "9" * 30])
HEADER = st.none() | st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)
TAG = st.text(
    st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"')
).map(lambda text: f'"{text}"')
INNER = [
    ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7")
]
SIZE = st.integers(0, 60)
SECONDS = st.floats(0, 1e10)


@given(header=HEADER, if_range=HEADER, size=SIZE, etag=st.none() | TAG)
def test_any_range_header_gives_an_extent_of_the_file(
    header: str | None, if_range: str | None, size: int, etag: str | None
) -> None:
    extent = resolve(header, if_range, size=size, etag=etag)
    if isinstance(extent, Slice):
        assert 0 <= extent.start < extent.stop <= size
    elif isinstance(extent, Unsatisfiable):
        assert extent.size == size
    else:
        assert extent == Whole()


@given(body=st.binary(max_size=60), first=st.integers(0, 80), last=st.integers(0, 80))
def test_slices_of_a_body_equal_the_bodys_slices(body: bytes, first: int, last: int) -> None:
    """Each form of range selects what the same slice of the body selects; none of it is a 416."""
    cases = [
        (f"bytes={first}-", body[first:]),
        (f"bytes=-{last}", body[-last:] if last else b""),
        (f"bytes={first}-{last}", body[first : last + 1] if first <= last else body),
    ]
    for header, expected in cases:
        match resolve(header, None, size=len(body), etag=None):
            case Slice(start, stop):
                got = body[start:stop]
            case Whole():
                got = body
            case Unsatisfiable():
                got = b""
        assert got == expected


@given(start=SIZE, length=st.integers(1, 60), rest=st.none() | SIZE)
def test_content_range_survives_the_wire(start: int, length: int, rest: int | None) -> None:
    stop = start + length
    total = None if rest is None else stop + rest
    assert parse_content_range(content_range(Slice(start, stop), total)) == (start, stop, total)
    assert parse_unsatisfied(content_range(Unsatisfiable(stop))) == stop


@given(header=HEADER, etag=TAG)
def test_any_if_none_match_gives_an_answer(header: str | None, etag: str) -> None:
    """A 304 needs the tag itself somewhere in the header, or a star."""
    if not_modified(header, etag):
        assert header is not None
        assert etag in header or "*" in header


@given(tags=st.lists(TAG, min_size=1, max_size=300), weak=st.booleans(), data=st.data())
def test_member_of_a_list_is_found(tags: list[str], weak: bool, data: st.DataObject) -> None:
    header = ", ".join(f"W/{tag}" if weak else tag for tag in tags)
    wanted = data.draw(st.sampled_from(tags) | TAG)
    assert not_modified(header, wanted) is (wanted in tags)
    assert is_strong(wanted)


@given(text=HEADER, other=HEADER, now=SECONDS, ttl=st.floats(0, 1e6))
def test_hostile_header_text_never_raises(
    text: str | None, other: str | None, now: float, ttl: float
) -> None:
    assert wants_revalidation(text, other) in {True, False}
    wait = retry_after(text, now)
    assert wait is None or 0 <= wait <= CAP
    assert 0 <= clamp_age(text, ttl) <= ttl
    part = parse_content_range(text)
    assert part is None or 0 <= part.start < part.stop <= (part.total or part.stop)
    assert (parse_unsatisfied(text) or 0) >= 0


@given(
    address=st.ip_addresses() | st.sampled_from(INNER).flatmap(lambda inner: st.ip_addresses(network=inner))
)
def test_address_that_is_allowed_leads_nowhere_inside(address: IPv4Address | IPv6Address) -> None:
    """Checked against the standard library's own classes of addresses, which this rule doesn't use."""
    embedded = (address.ipv4_mapped or address.sixtofour) if isinstance(address, IPv6Address) else None
    if forbidden(str(address), port=443) is None:
        for ip in (address, embedded or address):
            assert not any((ip.is_loopback, ip.is_link_local, ip.is_multicast, ip.is_unspecified))
            assert not any(ip in network for network in INNER)


@given(text=st.text(max_size=40))
def test_text_that_is_no_address_is_refused(text: str) -> None:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        assert forbidden(text, port=443) is not None


@given(text=HEADER, base=HEADER, hops=st.integers(0, 6))
def test_redirect_never_leaves_http(text: str | None, base: str | None, hops: int) -> None:
    """Whatever the Location, the next URL is ASCII of scheme http or https, without control characters."""
    target = follow("https://mirror.example/" + (base or ""), text, hops=hops)
    if not isinstance(target, Refused):
        assert target.lower().startswith("https://")
        assert target.isascii()
        assert target.isprintable()
        assert " " not in target
    assert same_origin(text or "", base or "") in {True, False}


WINDOWS = st.builds(
    Windows,
    ttl=st.floats(0, 1e5),
    stale_while_revalidate=st.floats(0, 1e6),
    stale_if_error=st.floats(0, 1e7),
    negative_ttl=st.floats(0, 1e5),
)
ORDER = list(Freshness)


@given(windows=WINDOWS, checked_at=SECONDS, ages=st.tuples(SECONDS, SECONDS), key=st.text())
def test_pages_only_ever_get_staler(
    windows: Windows, checked_at: float, ages: tuple[float, float], key: str
) -> None:
    cut = jitter(key)
    assert 0 <= cut < 0.1
    younger, older = (checked_at + age for age in sorted(ages))
    first = assess(checked_at=checked_at, now=younger, windows=windows, jitter=cut)
    later = assess(checked_at=checked_at, now=older, windows=windows, jitter=cut)
    assert ORDER.index(first) <= ORDER.index(later)
    first = assess_absence(checked_at=checked_at, now=younger, windows=windows)
    later = assess_absence(checked_at=checked_at, now=older, windows=windows)
    assert ORDER.index(first) <= ORDER.index(later)


@given(windows=WINDOWS, checked_at=SECONDS, now=SECONDS, asked_at=st.none() | SECONDS)
def test_insisting_never_makes_a_page_unusable(
    windows: Windows, checked_at: float, now: float, asked_at: float | None
) -> None:
    plain = assess(checked_at=checked_at, now=now, windows=windows)
    insisted = assess(checked_at=checked_at, now=now, windows=windows, revalidate=True, asked_at=asked_at)
    assert insisted in {plain, Freshness.ASK_FIRST}
    assert (plain is Freshness.GONE) == (insisted is Freshness.GONE)


EVENT = st.tuples(
    st.sampled_from(["success", "failure", "answered", "probe"]),
    st.floats(-1e4, 1e4),
    st.none() | st.floats(0, 1e12) | st.just(math.inf),
    st.floats(0, 1, exclude_max=True),
)


@given(events=st.lists(EVENT, max_size=30))
def test_breaker_never_refuses_for_ever(
    events: list[tuple[str, float, float | None, float]],
) -> None:
    """Whatever happened, on a clock that may also jump back, it allows a request a minute after the last event."""
    breaker, now = Breaker(), 1e5
    for kind, step, wait, spread in events:
        now += step
        match kind:
            case "success":
                breaker = breaker.on_success(now)
                assert breaker.allows(now)
            case "probe":
                breaker = breaker.probe(now)
                assert breaker.state is not State.OPEN
            case _:
                breaker = breaker.on_failure(now, wait, spread=spread, answered=kind == "answered")
                assert breaker.state is not State.HALF_OPEN
                assert breaker.state is State.CLOSED or not breaker.allows(now)
    assert breaker.allows(now + REFUSAL_LIMIT)
    assert breaker.allows(now - 2 * REFUSAL_LIMIT)


@given(
    body=st.binary(min_size=1, max_size=60),
    held=SIZE,
    known=st.booleans(),
    status=st.sampled_from([200, 206, 416, 404]),
    claim=st.tuples(SIZE, SIZE, st.none() | SIZE),
    honest=st.booleans(),
    asked=st.none() | SIZE,
    length=st.none() | SIZE,
)
def test_resume_never_appends_at_the_wrong_offset(
    body: bytes,
    held: int,
    known: bool,
    status: int,
    claim: tuple[int, int, int | None],
    honest: bool,
    asked: int | None,
    length: int | None,
) -> None:
    """A response whose head tells the truth about itself is only ever spliced where its bytes belong."""
    assume(held <= len(body))
    start, stop, total = (asked or 0, len(body), len(body)) if honest else claim
    # What the mirror really sends, by its own word: the whole body, or the part it claims.
    sent = body[start:stop] if status == 206 else body
    splice = judge(
        held=held,
        expected_size=len(body) if known else None,
        status=status,
        content_range=f"bytes {start}-{stop - 1}/{'*' if total is None else total}" if stop else None,
        content_length=length,
        etag_before=None,
        etag_now=None,
        requested_start=asked,
    )
    match splice:
        case Append():
            skip = 0
        case SkipThenAppend(n):
            assert n > 0
            skip = n
        case StartOver():
            assert status == 416
            return
        case Refuse(reason):
            assert reason
            return
    assert status in {200, 206}
    assert body.startswith(body[:held] + sent[skip:])


@given(
    checked_at=SECONDS,
    asked=st.floats(-1e4, 1e4),
    lengths=st.tuples(*[st.floats(0, 1e4)] * 4),
    cut=st.floats(0, 1),
    absent=st.booleans(),
    revalidate=st.booleans(),
    offline=st.booleans(),
    where=st.floats(0.001, 0.999),  # rounding decides at the very ends
)
def test_nothing_is_to_be_decided_while_undisturbed(
    checked_at: float,
    asked: float,
    lengths: tuple[float, ...],
    cut: float,
    absent: bool,
    revalidate: bool,
    offline: bool,
    where: float,
) -> None:
    """At every instant of it the page is FRESH, and is to be refreshed ahead by no number of uses."""
    ttl, stale, error, negative = lengths
    windows = Windows(ttl=ttl, stale_while_revalidate=stale, stale_if_error=error, negative_ttl=negative)
    held: dict[str, Any] = {"checked_at": checked_at, "asked_at": checked_at + asked, "windows": windows}
    held |= {"revalidate": revalidate, "offline": offline} | ({} if absent else {"jitter": cut})
    since, until = undisturbed(**held, absent=absent)
    assume(until - since > 1e-3)
    now = checked_at if offline else since + (until - since) * where
    judged = (assess_absence if absent else assess)(**held, now=now)
    assert judged is Freshness.FRESH
    assert (
        absent
        or offline
        or not refresh_ahead(checked_at=checked_at, now=now, windows=windows, jitter=cut, uses=10**9)
    )
