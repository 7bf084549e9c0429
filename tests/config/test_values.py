from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypicache.config.values import (
    Bad,
    duration,
    host_and_port,
    index_name,
    nearest,
    network,
    project_pattern,
    share,
    size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30", 30), ("1.5", 1.5), ("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604800), ("1w", 604800), ("250ms", 0.25), ("1 h", 3600)],
)  # fmt: skip
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1", "1x", "1S", "1h30m", "1e3", "1_000", ".5", "5.", "inf", "nan", "\uff11s", "36526d"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Bad, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("512", 512), ("512B", 512), ("1KiB", 1024), ("1kib", 1024), ("512MiB", 512 << 20), ("20GiB", 20 << 30), ("1.5 TiB", 3 << 39), ("1kB", 1000), ("2TB", 2 * 10**12), ("0.1KiB", 102)],
)  # fmt: skip
def test_a_size_is_bytes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "GiB", "-1", "50G", "1XiB", "1e9", "2048PiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Bad, match="size"):
        size(text)


@pytest.mark.parametrize(("text", "part"), [("20%", 0.2), ("100%", 1), ("0.5", 0.5), ("12.5 %", 0.125)])
def test_a_share_is_a_part_of_one(text: str, part: float) -> None:
    assert share(text) == part


@pytest.mark.parametrize("text", ["0", "0%", "101%", "2", "x", "", "5s"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(Bad, match="share"):
        share(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:3141", ("127.0.0.1", 3141)),
        ("localhost:0", ("localhost", 0)),
        ("cache_1.corp.example:65535", ("cache_1.corp.example", 65535)),
        ("[::1]:80", ("::1", 80)),
        ("[FE80:0::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("*:80", (None, 80)),
    ],
)
def test_an_address_to_listen_on(text: str, expected: tuple[str | None, int]) -> None:
    assert host_and_port(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80",
        ":80",
        "h:",
        "h:x",
        "h:-1",
        "h:65536",
        "h:\uff18\uff10",
        "[]:80",
        "a b:80",
        "1.2.3:80",
        "::1:80",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Bad):
        host_and_port(text)


@pytest.mark.parametrize("text", ["corp", "root/pypi", "a.b/c_d-e", "root/simple", "A/1", "simple2"])
def test_an_index_may_be_called(text: str) -> None:
    assert index_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "a/", "/a", "a/b/c", "simple", "index/x", "packages", "pypi", "metrics", "healthz", "readyz", "-", "-x", "+api", "a/+f", "a/-x", ".", "..", "a/..", "a b", "a%2fb", "é", "x" * 101],
)  # fmt: skip
def test_no_index_may_be_called(text: str) -> None:
    with pytest.raises(Bad, match="the name of an index"):
        index_name(text)


def test_a_pattern_is_normalised_as_names_are() -> None:
    assert project_pattern("Acme.Tools__*") == "acme-tools-*"


@pytest.mark.parametrize("text", ["", "-x", "a[b]", "a b", "x" * 201])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(Bad, match="project name"):
        project_pattern(text)


def test_a_single_address_is_a_network_of_one() -> None:
    assert str(network("192.0.2.1")) == "192.0.2.1/32"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("lisen", "listen"), ("LISTEN", "listen"), ("workres", "workers"), ("netsil", "listen"), ("zzz", None)],
)
def test_a_near_miss_is_named(word: str, hint: str | None) -> None:
    assert nearest(word, ["listen", "workers"]) == (f'; did you mean "{hint}"?' if hint else "")


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_a_value_or_bad(text: str) -> None:
    for parse in (duration, size, share, network, host_and_port, index_name, project_pattern):
        try:
            parse(text)
        except Bad as bad:
            message = str(bad)
        else:
            message = "fine"
        assert message
