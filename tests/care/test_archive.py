from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.care import manifest as manifests
from pypicache.care.archive import Reader, Writer
from pypicache.care.kept import Damaged
from pypicache.care.manifest import Held, Manifest, blob_member, less

ONE, TWO = b"one", b"two!"


def held(data: bytes, content: str = "") -> Held:
    return Held(sha256=hashlib.sha256(data).hexdigest(), size=len(data), content=content)


MANIFEST = Manifest(
    blobs=tuple(sorted((held(ONE), held(TWO)), key=lambda each: each.sha256)),
    projects={"root/pypi demo": held(ONE, content="c")},
)
DATA = {held(data).sha256: data for data in (ONE, TWO)}


def written(manifest: Manifest = MANIFEST) -> bytes:
    file = io.BytesIO()
    with Writer(file, manifest) as writer:
        for name, each in manifest.members():
            writer.add(name, each.size, io.BytesIO(DATA[each.sha256]))
    return file.getvalue()


def read(archive: bytes) -> Mapping[str, bytes]:
    with Reader(io.BytesIO(archive)) as reader:
        return {member.name: b"".join(member.read()) for member in reader.members()}


def forged(*members: tuple[tarfile.TarInfo, bytes], manifest: Manifest = MANIFEST) -> bytes:
    """An archive with that manifest and these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        data = manifests.dump(manifest)
        for member, content in ((tarfile.TarInfo(manifests.NAME), data), *members):
            member.size = member.size or len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def test_what_is_written_is_read_and_is_the_same_every_time() -> None:
    archive = written()
    assert archive == written()
    assert read(archive) == {
        **{blob_member(each.sha256): DATA[each.sha256] for each in MANIFEST.blobs},
        "projects/root/pypi/demo.msgpack": ONE,
    }
    assert Reader(io.BytesIO(archive)).manifest == MANIFEST
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert {(each.mtime, each.uid, each.uname, each.mode) for each in tar} == {(0, 0, "", 0o644)}


FIRST = MANIFEST.blobs[0]
GOOD = blob_member(FIRST.sha256)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "ends before blobs/"),
        ([(member("../../etc/passwd"), DATA[FIRST.sha256])], r"has \.\./\.\./etc/passwd where blobs/"),
        ([(member(f"/{GOOD}"), DATA[FIRST.sha256])], "where blobs/"),
        ([(member(GOOD, tarfile.SYMTYPE, "/etc/passwd"), b"")], "which is no file"),
        ([(member(GOOD, tarfile.LNKTYPE, manifests.NAME), b"")], "which is no file"),
        ([(member(GOOD, tarfile.FIFOTYPE), b"")], "which is no file"),
        ([(member(GOOD, tarfile.DIRTYPE), b"")], "which is no file"),
        ([(member(GOOD), DATA[FIRST.sha256] + b"more")], "where blobs/"),
        ([(member(GOOD), b"x" * FIRST.size)], "is damaged: it hashes to"),
        ([(member(GOOD), DATA[FIRST.sha256]), (member(GOOD), DATA[FIRST.sha256])], "where blobs/"),
    ],
)
def test_a_member_that_is_not_the_one_that_is_due_ends_the_reading(
    members: list[tuple[tarfile.TarInfo, bytes]], said: str
) -> None:
    with pytest.raises(Damaged, match=said):
        read(forged(*members))


def test_a_member_too_many_is_told() -> None:
    with pytest.raises(Damaged, match="has extra, of which its manifest doesn't tell"):
        read(forged((member("extra"), b"x"), manifest=Manifest()))


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_half_an_archive_is_told(cut: float) -> None:
    archive = written()
    whole = archive.rstrip(b"\0")
    with pytest.raises(Damaged, match="archive"):
        read(archive[: int(len(whole) * cut)])


LONG = bytes(range(256)) * 16


@pytest.mark.parametrize("lacking", [1, 100, 1024, 3000, 4095, 4096 + 512])
def test_an_archive_that_ends_in_the_middle_of_a_file_is_told(lacking: int) -> None:
    manifest = Manifest(blobs=(held(LONG),))
    archive = forged((member(blob_member(held(LONG).sha256)), LONG), manifest=manifest)
    end = archive.index(LONG) + len(LONG)
    with pytest.raises(Damaged, match="archive"):
        read(archive[: end - lacking])


def test_an_archive_that_ends_in_the_middle_of_its_manifest_is_told() -> None:
    manifest = Manifest(blobs=tuple(held(bytes([number])) for number in range(100)))
    archive = forged(manifest=manifest)
    for cut in (600, 1024, 5000, 9999):
        with pytest.raises(Damaged, match="archive"):
            read(archive[:cut])


@given(place=st.integers(min_value=0), byte=st.integers(0, 255))
def test_whatever_byte_is_another_the_archive_is_what_it_was_or_is_refused(place: int, byte: int) -> None:
    archive = bytearray(written())
    archive[place % len(archive)] = byte
    try:
        found = read(bytes(archive))
    except Damaged:
        return
    assert found == read(written())


def test_headers_without_end_are_refused() -> None:
    """Each says something of the next, and tarfile goes into them one by one."""
    header = member("long", tarfile.GNUTYPE_LONGNAME)
    with pytest.raises(Damaged, match="archive"):
        read(header.tobuf(tarfile.GNU_FORMAT) * 5000)


class Endless(io.RawIOBase):
    """The bytes, and zeros after them for as long as somebody reads; `given` is how many were taken."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        data = self._data.read(size)
        self.given += size
        return data + bytes(size - len(data))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("first", [True, False])
def test_a_name_without_end_is_not_read_to_its_end(kind: bytes, *, first: bool) -> None:
    """A name, or what is said of a member, is held in memory, however long it says that it is."""
    header = member("long", kind)
    header.size = 1 << 33
    before = b"" if first else forged(manifest=MANIFEST).rstrip(b"\0")
    before += bytes(-len(before) % 512)
    source = Endless(before + header.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(Damaged, match="archive"), Reader(source) as reader:  # type: ignore[arg-type] # it reads
        list(reader.members())
    assert source.given < 64 << 20


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: b"", "archive"),
        (lambda: b"not a tar file at all" * 100, "archive"),
        (lambda: forged(manifest=Manifest(format=2)), "a later pypicache wrote it"),
        (
            lambda: forged(manifest=Manifest(blobs=(Held(sha256="../../x", size=1),))),
            "digests that aren't any",
        ),
        (
            lambda: forged(manifest=Manifest(blobs=(Held(sha256="0" * 64, size=-1),))),
            "digests that aren't any",
        ),
        (lambda: forged(manifest=Manifest(projects={"root/../.. demo": held(ONE)})), "which can't be"),
        (lambda: forged(manifest=Manifest(projects={"root/pypi ../demo": held(ONE)})), "which can't be"),
    ],
)
def test_what_is_no_archive_of_ours_is_refused(make: Callable[[], bytes], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        read(make())


def test_an_incremental_archive_leaves_out_what_the_earlier_one_has() -> None:
    """Its manifest tells of everything, so that the next one can be made against it."""
    more = held(b"three")
    now = Manifest(
        blobs=(*MANIFEST.blobs, more),
        projects={
            "root/pypi demo": held(b"asked again, the same", content="c"),
            "root/pypi other": held(TWO, content="d"),
        },
    )
    news = less(now, MANIFEST, "0" * 64)
    assert news.since == "0" * 64
    assert [name for name, _ in news.members()] == [
        blob_member(more.sha256),
        "projects/root/pypi/other.msgpack",
    ]
    assert {each.sha256 for each in news.blobs} == {each.sha256 for each in now.blobs}
    assert not list(less(now, news, "1" * 64).members())
