"""Wheels, sdists and pages made out of arguments: the same arguments give the same bytes.

Nothing here touches the disk or the network. The wheels are real: pip and uv install them. The sdists build
without any package from anywhere, since they bring their own build backend.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

PATTERN = 1_048_583
"""The period of the padding, in bytes: a prime, so that no power of two is a multiple of it and a splice that is
wrong by whole blocks can't give the right bytes by accident."""

_BACKEND = b"""\
import base64
import pathlib


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel, = pathlib.Path("prebuilt").iterdir()
    pathlib.Path(wheel_directory, wheel.name).write_bytes(base64.b64decode(wheel.read_bytes()))
    return wheel.name
"""
_PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that an index may list."""

    name: str
    """The project, as its author spells it."""

    version: str
    filename: str
    data: bytes = field(repr=False)
    sha256: str
    metadata: bytes | None = None
    """The core metadata, which is what the sidecar (PEP 658) holds; None where there is none."""

    requires_python: str | None = None


@dataclass(frozen=True, slots=True)
class Wheel(Artifact):
    """A wheel (the binary distribution format); its metadata is always there."""

    metadata: bytes = b""
    metadata_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Sdist(Artifact):
    """A source distribution whose build makes the wheel of the same name and version."""


def artifact(name: str, version: str, filename: str, data: bytes) -> Artifact:
    """Any bytes under any filename: what indexes hold besides wheels and sdists."""
    return Artifact(name, version, filename, data, hashlib.sha256(data).hexdigest())


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    size: int = 0,
    requires_python: str | None = None,
    tag: str = "py3-none-any",
    build: str | None = None,
) -> Wheel:
    """A wheel of one module, named after the project, with `__version__` and `SIZE` in it.

    It is padded with stored bytes that don't compress until it has about `size` bytes (never fewer).
    """
    module = _escaped(name)
    info = f"{module}-{version}.dist-info"
    metadata = _metadata(name, version, requires, requires_python)
    members = {f"{module}/__init__.py": f"__version__ = {version!r}\nSIZE = {size}\n".encode()}
    if size:
        members[f"{module}/padding.bin"] = padding(size, seed=f"{name} {version}")
    # Last in the archive, as installers that read a wheel's tail by ranges expect it.
    members[f"{info}/METADATA"] = metadata
    members[f"{info}/WHEEL"] = _wheel_file(tag, build)
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    data = _zip(members)
    return Wheel(
        name=name,
        version=version,
        filename="-".join(filter(None, (module, version, build, tag))) + ".whl",
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        metadata=metadata,
        requires_python=requires_python,
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
    )


def sdist(name: str, version: str, *, requires: Sequence[str] = (), size: int = 0) -> Sdist:
    """A `.tar.gz` that builds without asking an index for anything."""
    built = wheel(name, version, requires=requires, size=size)
    root = f"{_escaped(name)}-{version}"
    members = {
        f"{root}/PKG-INFO": built.metadata,
        f"{root}/pyproject.toml": _PYPROJECT,
        f"{root}/backend.py": _BACKEND,
        # Encoded: pip takes an archive with a zip file at its end for a zip file.
        f"{root}/prebuilt/{built.filename}": base64.b64encode(built.data),
    }
    data = _tar_gz(members)
    return Sdist(name, version, f"{root}.tar.gz", data, hashlib.sha256(data).hexdigest())


def padding(size: int, *, seed: str = "") -> bytes:
    """`size` bytes that deflate can't shrink, at memory speed."""
    pattern = random.Random(seed).randbytes(min(size, PATTERN))
    return pattern * (size // PATTERN) + pattern[: size % PATTERN] if size > PATTERN else pattern


def big_page(name: str, files: int, *, form: str = "json") -> bytes:
    """A page, as JSON (PEP 691) or HTML (PEP 503), of so many wheels that nobody has; about 450 bytes a file."""
    listed = [_unreal_file(_escaped(name), number) for number in range(files)]
    if form == "json":
        page: Mapping[str, object] = {
            "meta": {"api-version": "1.1"},
            "name": canonicalize_name(name),
            "versions": [f"{number}.0" for number in range(files)],
            "files": listed,
        }
        return json.dumps(page, separators=(",", ":")).encode()
    anchors = (
        f'<a href="{f["url"]}#sha256={_first(f["hashes"])}" data-requires-python="&gt;=3.8"'
        f' data-core-metadata="sha256={_first(f["core-metadata"])}">{f["filename"]}</a><br>\n'
        for f in listed
    )
    return f"<!DOCTYPE html><html><body>\n{''.join(anchors)}</body></html>\n".encode()


def _unreal_file(module: str, number: int) -> dict[str, object]:
    digest = hashlib.sha256(f"{module} {number}".encode()).hexdigest()
    filename = f"{module}-{number}.0-py3-none-any.whl"
    return {
        "filename": filename,
        "url": f"../../packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}",
        "hashes": {"sha256": digest},
        "requires-python": ">=3.8",
        "size": 1000 + number,
        "upload-time": "2024-01-01T00:00:00.000000Z",
        "yanked": False,
        "core-metadata": {"sha256": digest[::-1]},
    }


def _first(hashes: object) -> str:
    assert isinstance(hashes, dict)
    return str(hashes["sha256"])


def _escaped(name: str) -> str:
    """The project's name as file names spell it (binary distribution format, "Escaping and Unicode")."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _metadata(name: str, version: str, requires: Sequence[str], requires_python: str | None) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Summary: Made for a test"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def _wheel_file(tag: str, build: str | None) -> bytes:
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    lines = ["Wheel-Version: 1.0", "Generator: tests", "Root-Is-Purelib: true"]
    lines += [f"Tag: {p}-{a}-{o}" for p in pythons for a in abis for o in platforms]
    if build:
        lines.append(f"Build: {build}")
    return ("\n".join(lines) + "\n").encode()


def _record(members: Mapping[str, bytes], own: str) -> bytes:
    rows = []
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{own},,\n"]).encode()


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Stored, not deflated: the bytes then don't depend on the zlib at hand, and large ones cost little."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, data in members.items():
            member = zipfile.ZipInfo(path)
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return out.getvalue()


def _tar_gz(members: Mapping[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)
