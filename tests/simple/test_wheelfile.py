"""METADATA read from a wheel's end: sound wheels of every shape, and wheels that play games."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple import wheelfile
from pypicache.simple.wheelfile import MAX_METADATA, TAIL, Metadata, Step

FILENAME = "demo-1.0-py3-none-any.whl"
MEMBER = "demo-1.0.dist-info/METADATA"
TEXT = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: other>=2\n\n" + b"words " * 500


def wide(members: dict[str, bytes], *, sizes: bool = True) -> bytes:
    """A zip file whose members' offsets and `sizes` are in zip64 fields of the directory (APPNOTE 4.5.3)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with made.open(info, "w", force_zip64=True) as file:
                file.write(data)
    plain = out.getvalue()
    *_, entries, _, offset, _ = struct.unpack("<4s4H2LH", plain[-22:])
    at, directory = offset, b""
    for _entry in range(entries):
        head = list(struct.unpack_from("<4s6H3L5H2L", plain, at))
        path = plain[at + 46 : at + 46 + head[10]]
        at += 46 + head[10] + head[11]
        numbers = struct.pack("<2HQ", 1, 8, head[16])
        if sizes:
            numbers = struct.pack("<2H3Q", 1, 24, head[9], head[8], head[16])
            head[8] = head[9] = 0xFFFFFFFF
        head[16] = 0xFFFFFFFF
        extra = struct.pack("<2HL", 0x5455, 4, 0) + numbers
        head[11] = len(extra)
        directory += struct.pack("<4s6H3L5H2L", *head) + path + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, len(directory), offset, 0)
    return plain[:offset] + directory + end


def packed(
    members: dict[str, bytes] | list[tuple[str, bytes]],
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
) -> bytes:
    """A zip file whose members are compressed by that method."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as made:
        warnings.simplefilter("ignore")  # duplicate names are meant
        for name, data in members.items() if isinstance(members, dict) else members:
            made.writestr(name, data)
        made.comment = comment
    return out.getvalue()


def streamed(members: dict[str, bytes]) -> bytes:
    """A zip file written to a pipe: sizes follow the members, in descriptors (APPNOTE 4.3.9)."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def read(data: bytes, filename: str = FILENAME, spans: list[tuple[int, int]] | None = None) -> bytes:
    """What the steps come to; `spans` gets what they asked for."""
    step: Step | Metadata = wheelfile.begin(filename, len(data))
    for _ in range(8):
        if isinstance(step, Metadata):
            return step.content
        first, last = step.span
        assert 0 <= first <= last <= len(data)
        if spans is not None:
            spans.append((first, last))
        step = wheelfile.advance(step, data[first:last])
    raise AssertionError("no end of steps")


SMALL = {"demo/__init__.py": b"x = 1\n", MEMBER: TEXT, "demo-1.0.dist-info/RECORD": b"demo,,\n"}
NOISE = bytes(i * i * 7919 >> 3 & 0xFF for i in range(TAIL * 4))
MANY = {f"demo/{number:05}.py": b"" for number in range(3000)}

SOUND = [
    ("deflated", packed(SMALL)),
    ("stored", packed(SMALL, zipfile.ZIP_STORED)),
    ("an empty METADATA", packed({MEMBER: b""})),
    ("METADATA first", packed({MEMBER: TEXT, "big": NOISE}, zipfile.ZIP_STORED)),
    ("METADATA in the middle", packed({"a": NOISE, MEMBER: TEXT, "b": NOISE}, zipfile.ZIP_STORED)),
    ("a large directory", packed({**MANY, **SMALL})),
    ("a large directory, METADATA first", packed({MEMBER: TEXT, "big": NOISE, **MANY})),
    ("a comment", packed(SMALL, comment=b"a comment")),
    ("the longest comment", packed(SMALL, comment=b"c" * 0xFFFF)),
    ("a comment as long as the tail", packed(SMALL, comment=b"c" * (TAIL - 22))),
    ("a comment that cuts the locator's place", packed(SMALL, comment=b"c" * (TAIL - 30))),
    ("zip64 members", wide(SMALL)),
    ("zip64 offsets", wide(SMALL, sizes=False)),
    ("written to a pipe", streamed(SMALL)),
    ("other dist-info inside", packed({"demo/_vendor/o-1.dist-info/METADATA": b"no", **SMALL})),
    ("another top-level dist-info", packed({"o-1.0.dist-info/METADATA": b"no", **SMALL})),
]


@pytest.mark.parametrize("data", [data for _, data in SOUND], ids=[name for name, _ in SOUND])
def test_a_sound_wheel(data: bytes) -> None:
    """What Python's zipfile reads there, byte for byte."""
    with zipfile.ZipFile(io.BytesIO(data)) as peer:
        assert peer.read(MEMBER) == read(data)


def zip64_end(data: bytes, **changes: int) -> bytes:
    """The archive with a zip64 end record and locator, and nothing left in the plain one (APPNOTE 4.3.14, 4.3.15)."""
    *_, entries, size, offset, _ = struct.unpack("<4s4H2LH", data[-22:])
    end = len(data) - 22
    fields = {"length": 44, "entries": entries, "size": size, "offset": offset, "at": end, "disk": 0}
    plain = {"plain_entries": 0xFFFF, "plain_size": 0xFFFFFFFF, "plain_offset": 0xFFFFFFFF}
    v = fields | plain | changes
    record = struct.pack(
        "<4sQ2H2L4Q",
        b"PK\x06\x06",
        v["length"],
        45,
        45,
        v["disk"],
        0,
        *2 * (v["entries"],),
        v["size"],
        v["offset"],
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, v["at"], 1)
    last = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, *2 * (v["plain_entries"],), v["plain_size"], v["plain_offset"], 0
    )
    return data[:end] + record + locator + last


@pytest.mark.parametrize("plain", [{}, {"plain_entries": 3}])
def test_a_zip64_end(plain: dict[str, int]) -> None:
    data = zip64_end(packed(SMALL), **plain)
    assert read(data) == TEXT
    with zipfile.ZipFile(io.BytesIO(data)) as peer:
        assert peer.read(MEMBER) == TEXT


def test_a_zip64_end_before_a_long_directory() -> None:
    assert read(zip64_end(packed({**MANY, **SMALL}))) == TEXT


@pytest.mark.parametrize(
    ("filename", "member"),
    [
        ("demo-1.0-py3-none-any.whl", "demo-1.0.dist-info"),
        ("demo-1.0-3build-py3-none-any.whl", "demo-1.0.dist-info"),
        ("Demo_Pkg-1.0-py3-none-any.whl", "demo.pkg-1.0.dist-info"),
        ("demo_pkg-1.0-py3-none-any.whl", "Demo-Pkg-1.0.dist-info"),
        ("demo-1.0-py3-none-any.whl", "demo-1.0.0.dist-info"),
        ("demo-1.0+cu118-py3-none-any.whl", "demo-1.0+cu118.dist-info"),
        ("demo-1!2.0-py3-none-any.whl", "demo-1!2.0.dist-info"),
        ("demo-1.0_local-py3-none-any.whl", "demo-1.0_local.dist-info"),
    ],
)
def test_names_that_are_the_same(filename: str, member: str) -> None:
    """Names are compared normalised (PEP 503), versions as PEP 440 does."""
    assert read(packed({f"{member}/METADATA": TEXT}), filename) == TEXT


@pytest.mark.parametrize(
    "member",
    [
        "other-1.0.dist-info/METADATA",
        "demo-1.1.dist-info/METADATA",
        "demo-1.0.dist-info/metadata",
        "demo-1.0.egg-info/METADATA",
        "x/demo-1.0.dist-info/METADATA",
        "/demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/METADATA/",
        "demo.dist-info/METADATA",
        "demo-1.0.dist-info/PKG-INFO",
        "d\N{LATIN SMALL LETTER E WITH ACUTE}mo-1.0.dist-info/METADATA",
        "demo-" + "1" * 600 + ".dist-info/METADATA",
    ],
)
def test_a_member_for_another_project(member: str) -> None:
    with pytest.raises(ValueError, match="no METADATA for this file name"):
        read(packed({member: TEXT}))


@pytest.mark.parametrize(
    "filename",
    ["demo-1.0.tar.gz", "demo.whl", "demo-1.0.whl", "a-b-c-d-e-f-g.whl", "demo-1.0-py3-none-any.WHL", ""],
)
def test_a_name_that_is_no_wheels(filename: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        wheelfile.begin(filename, 1000)


def field(offset: int, kind: str, value: int, *, of: bytes, last: bool = False) -> Callable[[bytes], bytes]:
    """Overwrites a number, so many bytes behind the first (or last) signature `of`."""

    def change(data: bytes) -> bytes:
        at = (data.rfind(of) if last else data.find(of)) + offset
        return data[:at] + struct.pack(kind, value) + data[at + struct.calcsize(kind) :]

    return change


END, ENTRY, LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
ONE = packed({MEMBER: TEXT})
TWO = packed([(MEMBER, TEXT), (MEMBER, b"other")])
BOMB = packed({MEMBER: b"\0" * (MAX_METADATA + 1)})

GAMES = [
    ("nothing", b"", "too short"),
    ("no zip file", b"<html>log in</html>" * 5000, "not a zip file"),
    ("cut at the end", ONE[:-1], "not a zip file"),
    ("bytes after the end", ONE + b"garbage", "not a zip file"),
    ("bytes before the start", b"garbage" + ONE, "should be"),
    ("the start cut off", ONE[100:], "should be|damaged"),
    ("no members", packed({}), "no METADATA"),
    ("a zip file as the comment", packed(SMALL, comment=ONE), "two ends"),
    ("METADATA twice", TWO, "twice"),
    ("other spelling twice", packed({MEMBER: TEXT, "Demo-1.0.dist-info/METADATA": b"x"}), "twice"),
    ("METADATA over the cap", BOMB, "too much"),
    ("a size that lies, small", field(24, "<L", 100, of=ENTRY)(BOMB), "another length|isn't what"),
    ("a size over the cap that lies", field(24, "<L", MAX_METADATA + 1, of=ENTRY)(ONE), "too much"),
    ("a packed size over the cap", field(20, "<L", MAX_METADATA * 2, of=ENTRY)(ONE), "too much"),
    ("a packed size beyond the member", field(20, "<L", 5000, of=ENTRY)(ONE), "overlaps"),
    ("a packed size that is too small", field(20, "<L", 10, of=ENTRY)(ONE), "another length"),
    ("packed bytes that aren't", ONE[:60] + b"\xff" * 20 + ONE[80:], "can't be inflated"),
    ("a CRC that is wrong", field(16, "<L", 1, of=ENTRY)(ONE), "isn't what"),
    ("encrypted", field(8, "<H", 1, of=ENTRY)(ONE), "encrypted"),
    ("encrypted says the member", field(6, "<H", 1, of=LOCAL)(ONE), "isn't where"),
    ("strongly encrypted", field(8, "<H", 0x41, of=ENTRY)(ONE), "encrypted"),
    ("another method", field(10, "<H", 14, of=ENTRY)(ONE), "method 14"),
    ("another method in the member", field(8, "<H", 0, of=LOCAL)(ONE), "isn't where"),
    ("stored with two sizes", field(10, "<H", 0, of=ENTRY)(ONE), "two sizes"),
    ("an offset into itself", field(42, "<L", 5, of=ENTRY)(ONE), "isn't where|overlaps"),
    ("an offset into the directory", field(42, "<L", len(ONE) - 30, of=ENTRY)(ONE), "overlaps"),
    ("an offset beyond the end", field(42, "<L", 1 << 31, of=ENTRY)(ONE), "overlaps"),
    ("a zip64 offset without its field", field(42, "<L", 0xFFFFFFFF, of=ENTRY)(ONE), "zip64 field"),
    (
        "a member that begins inside METADATA",
        field(42, "<L", 40, of=ENTRY, last=True)(packed({MEMBER: TEXT, "z": b""})),
        "overlaps",
    ),
    (
        "two entries for one member",
        field(42, "<L", 0, of=ENTRY, last=True)(packed({MEMBER: TEXT, "z": b""})),
        "twice",
    ),
    ("a long local header", field(28, "<H", 0xFFFF, of=LOCAL)(ONE), "overlaps"),
    ("another name in the member", ONE.replace(b"demo-1.0", b"evil-1.0", 1), "isn't where"),
    ("an entry on another disk", field(34, "<H", 1, of=ENTRY)(ONE), "disks"),
    ("an end on another disk", field(4, "<H", 1, of=END)(ONE), "disks"),
    ("more entries than there are", field(8, "<L", 0x20002, of=END)(ONE), "should be|damaged|early"),
    ("fewer entries than there are", field(8, "<L", 0x10001, of=END)(packed(SMALL)), "another length"),
    ("a directory that is too large", field(12, "<L", 33 << 20, of=END)(ONE), "too large"),
    ("a directory elsewhere", field(16, "<L", 0, of=END)(ONE), "should be"),
    ("a directory of all there is", field(12, "<L", 0xFFFFFFFF, of=END)(ONE), "too large"),
    ("a damaged directory", field(0, "<L", 0, of=ENTRY)(ONE), "damaged"),
    ("a directory that ends too early", field(8, "<L", 0x20002, of=END)(packed({"z" * 90: b""})), "early"),
    ("an entry longer than the directory", field(28, "<H", 0xFFFF, of=ENTRY)(ONE), "damaged"),
    (
        "zip64: a field that is too short",
        wide({MEMBER: TEXT}).replace(struct.pack("<2H", 1, 24), struct.pack("<2H", 1, 4), 2),
        "too short",
    ),
    ("zip64: too many entries", zip64_end(ONE, entries=1 << 40, size=1 << 20), "too large"),
    ("zip64: a directory that is too large", zip64_end(ONE, size=1 << 60), "too large"),
    ("zip64: a directory elsewhere", zip64_end(ONE, offset=1 << 60), "should be"),
    ("zip64: a record elsewhere", zip64_end(ONE, at=0), "isn't where"),
    ("zip64: a record far beyond", zip64_end(ONE, at=(1 << 64) - 1), "isn't where"),
    ("zip64: a record of another length", zip64_end(ONE, length=1 << 60), "isn't one"),
    ("zip64: contradiction", zip64_end(ONE, plain_size=5), "contradicts"),
    ("zip64: another disk", zip64_end(ONE, disk=1), "disks"),
]


@pytest.mark.parametrize(("data", "why"), [game[1:] for game in GAMES], ids=[game[0] for game in GAMES])
def test_a_wheel_that_plays_games(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        read(data)
    assert len(str(refusal.value).splitlines()) == 1
    assert str(refusal.value).isprintable()


def test_a_directory_with_a_hostile_name_is_refused_in_one_line() -> None:
    data = packed({MEMBER: TEXT}).replace(b"METADATA", b"META\nATA")
    with pytest.raises(ValueError, match="no METADATA"):
        read(data)


def test_a_bomb_is_not_inflated_beyond_what_it_says() -> None:
    """The cap is on what the directory says, and no more than that is made."""
    data = field(24, "<L", 1000, of=ENTRY)(BOMB)
    tracemalloc.start()
    with pytest.raises(ValueError, match="another length"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_large_wheel_costs_tens_of_kilobytes() -> None:
    """One request for a wheel with its METADATA near the end; never the bytes of the wheel."""
    spans: list[tuple[int, int]] = []
    data = packed({"big": NOISE * 40, **SMALL}, zipfile.ZIP_STORED)
    assert read(data, spans=spans) == TEXT
    assert spans == [(len(data) - TAIL, len(data))]
    spans.clear()
    read(packed({MEMBER: TEXT, "big": NOISE, **MANY}), spans=spans)
    assert len(spans) == 3
    assert sum(last - first for first, last in spans[2:]) < 5000


def test_a_step_wants_the_bytes_that_it_asked_for() -> None:
    step = wheelfile.begin(FILENAME, len(ONE))
    with pytest.raises(ValueError, match="asked for"):
        wheelfile.advance(step, ONE[:-1])


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda junk: junk + ONE[-100:]))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read(data), bytes)


@given(st.data())
def test_a_damaged_wheel_is_refused_or_reads_as_before(data: st.DataObject) -> None:
    """Bytes changed anywhere: the CRC and the names see to it that nothing else comes out."""
    wheel = bytearray(data.draw(st.sampled_from([ONE, packed(SMALL), TWO, zip64_end(packed(SMALL))])))
    for _ in range(data.draw(st.integers(1, 4))):
        wheel[data.draw(st.integers(0, len(wheel) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        assert read(bytes(wheel)) in {TEXT, b"other"}
