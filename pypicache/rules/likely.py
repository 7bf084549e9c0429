"""Which wheel of a project a resolver will most likely look at next: a guess, for what is fetched ahead.

It is made only where there isn't much to guess: the newest version that the requirement allows, if that version has
one wheel, for every platform. Which of several wheels a client takes depends on the client, and what environment
markers and other requirements rule out isn't known here. A wrong guess costs a mirror one small answer.
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from pypicache.simple import model
from pypicache.simple.filenames import version_of
from pypicache.simple.links import packages_path
from pypicache.simple.model import File, Project

_ANYWHERE = "-none-any.whl"


def likely(page: bytes, specifier: str) -> str | None:
    """That wheel's path below `packages/`, as its link has it; None when it can't be guessed.

    `page` is a stored page, and `specifier` a version specifier (PEP 440), empty for any. Only a wheel whose sidecar (PEP 658) the page
    promises counts.
    """
    project = model.load(page)
    wheel = _guess(project, specifier)
    if wheel is None or not wheel.has_sidecar:
        return None
    return packages_path(project.name, wheel.url, wheel.filename)


def _guess(project: Project, specifier: str) -> File | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - a start doesn't wait for it

    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return None
    newest: dict[bool, tuple[Version, list[File]]] = {}
    for file in project.files:
        text = version_of(file.filename, project.name)
        if text is None or file.yanked or not file.filename.endswith(".whl"):
            continue
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        best = newest.get(version.is_prerelease)
        if best is not None and version < best[0]:
            continue
        if best is not None and version == best[0]:
            best[1].append(file)
        elif allowed.contains(version, prereleases=True):
            newest[version.is_prerelease] = (version, [file])
    _, wheels = newest.get(False) or newest.get(True) or (None, [])
    return wheels[0] if len(wheels) == 1 and wheels[0].filename.endswith(_ANYWHERE) else None
