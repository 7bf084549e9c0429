"""Hypothesis strategies for pages and their parts: everything a model may hold, and hostile text."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from hypothesis import strategies as st

from pypicache.simple.filenames import all_versions
from pypicache.simple.model import STATUSES, Digest, File, Project, ProjectName, project_name, valid_filename

SUFFIXES = (
    ".tar.gz",
    ".zip",
    ".tar.bz2",
    ".tgz",
    ".tar.xz",
    ".tar.Z",
    ".egg",
    ".exe",
    ".msi",
    ".rpm",
    ".deb",
    ".dmg",
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)
"""Any text that can be stored; NUL is left out, since HTML has no way to write it."""


def _name(text: str) -> ProjectName:
    name = project_name(text)
    assert name is not None
    return name


project_names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True).map(_name)
versions = st.from_regex(
    r"([1-9]!)?[0-9]{1,3}(\.[0-9]{1,2}){0,3}((a|b|rc)[0-9])?(\.post[0-9])?(\+[a-z0-9]{1,5})?", fullmatch=True
)


def digests(*algorithms: str) -> st.SearchStrategy[Digest]:
    """A digest by one of the algorithms."""
    lengths = {"sha256": 32, "sha512": 64, "md5": 16, "blake2b": 64}
    return st.sampled_from(algorithms).flatmap(
        lambda name: st.binary(min_size=lengths[name], max_size=lengths[name]).map(
            lambda raw: Digest(name, raw.hex())
        )
    )


hash_sets = st.lists(
    digests("sha256", "sha512", "md5", "blake2b"), max_size=3, unique_by=lambda item: item.algorithm
).map(tuple)


def _upload_time(moment: datetime, digits: int) -> str:
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


upload_times = st.builds(
    _upload_time,
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 12, 31)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.integers(0, 6),
)


@st.composite
def filenames(draw: st.DrawFn, project: ProjectName) -> str:
    """A file name of the project, of any kind, spelled as tools spell it."""
    name = project.replace("-", draw(st.sampled_from("-_.")))
    version = draw(versions)
    kind = draw(st.sampled_from(("wheel", "built", "sdist", "odd")))
    if kind in {"wheel", "built"}:
        build = draw(st.sampled_from(("-1", "-3build"))) if kind == "built" else ""
        return f"{project.replace('-', '_')}-{version}{build}-py3-none-any.whl"
    if kind == "sdist":
        return f"{name}-{version}{draw(st.sampled_from(SUFFIXES))}"
    odd = draw(st.text(min_size=1, max_size=20).filter(valid_filename))
    return f"{name}-{odd}{draw(st.sampled_from(SUFFIXES))}"


@st.composite
def files(draw: st.DrawFn, project: ProjectName) -> File:
    """A file as a page may list it."""
    filename = draw(filenames(project))
    directory = draw(st.sampled_from(("packages/aa/bb", "simple/files", "p%2Bq/a'b&c", "packages/-")))
    return File(
        filename=filename,
        url=f"https://files.example.org/{directory}/{quote(filename, safe='')}",
        hashes=draw(hash_sets),
        size=draw(st.none() | st.integers(0, 2**63 - 1)),
        upload_time=draw(st.none() | upload_times),
        requires_python=draw(st.none() | st.sampled_from((">=3.7, !=3.8.*", "<4,>=2.7", ">=3.6.*")) | texts),
        yanked=draw(st.booleans() | texts),
        core_metadata=draw(st.none() | st.booleans() | digests("sha256", "md5").map(lambda item: (item,))),
        gpg_sig=draw(st.none() | st.booleans()),
        provenance=draw(st.none() | st.just("https://files.example.org/integrity/x?y=<z>&w='v'")),
    )


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """A page, whole and consistent, as a parser may give it."""
    name = draw(project_names)
    listed = draw(st.lists(files(name), max_size=6, unique_by=lambda file: file.filename))
    stated = draw(st.lists(versions, max_size=3, unique=True))
    pages = st.lists(
        st.sampled_from(("https://a.example/simple/x/", "https://b.example/y/")), unique=True
    ).map(tuple)
    status = draw(st.none() | st.sampled_from(STATUSES))
    return Project(
        name=name,
        files=tuple(listed),
        versions=all_versions([file.filename for file in listed], name, stated),
        api_version=(1, draw(st.integers(0, 4))),
        status=status,
        status_reason=None if status is None else draw(st.none() | texts),
        tracks=draw(pages),
        alternate_locations=draw(pages),
    )


media_ranges = st.sampled_from(
    (
        "application/vnd.pypi.simple.v1+json",
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.latest+json",
        "text/html",
        "application/*",
        "text/*",
        "*/*",
        "image/png",
        "*",
        "",
    )
)
qualities = st.sampled_from(("", ";q=0", ";q=0.5", "; Q = 1", ";q=2", ";q=", ";level=1;q=0.001"))
accepts = st.lists(st.tuples(media_ranges, qualities).map("".join) | st.text(max_size=12), max_size=8).map(
    ",".join
)
"""Accept headers: sensible ones, odd ones, and noise."""
