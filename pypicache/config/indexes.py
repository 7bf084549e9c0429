"""The indexes: each with mirrors or layers, and how its pages age.

It checks what one index can't tell by itself: that layers refer to indexes that exist and don't go round in
a circle, that names don't clash in URLs, and that the default index is one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pypicache.config.mirrors import mirrors
from pypicache.config.reader import Section, Value, flag, listed, one_of, optional, scalar, text, worded
from pypicache.config.schema import DEFAULT_INDEX, Config, Index, Layer
from pypicache.config.values import Bad, duration, index_name, nearest, project_pattern, share, web_address

_OF_MIRRORS: Final = (
    "ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "negative_ttl",
    "offline",
    "synthesize_metadata",
)
"""Settings of an index with mirrors, which one with layers has no use for."""


@dataclass(frozen=True, slots=True)
class _Edge:
    """One layer as it stands in the file: `index` is made of `layer`, among others."""

    index: str
    layer: str
    value: Value


def read_indexes(top: Section) -> tuple[str, Mapping[str, Index]]:
    """The default index's name, and every index, from `indexes`, `mirrors` and `default_index` at the top."""
    section, shorthand = top.get("indexes"), top.get("mirrors")
    found: Mapping[str, Index] = {}
    declared: Collection[str] = ()
    if section is not None and not section.is_null:
        if shorthand is not None and not shorthand.is_null:
            shorthand.problem(
                f"is short for the mirrors of {DEFAULT_INDEX}: give them in indexes, or leave that out"
            )
        declared, found = section.attempt(_indexes, (declared, found))
    elif shorthand is not None and not shorthand.is_null:
        value = replace(shorthand, setting="indexes.*.mirrors")
        found = {DEFAULT_INDEX: Index(name=DEFAULT_INDEX, mirrors=value.attempt(mirrors, ()))}
        declared = (DEFAULT_INDEX,)
    else:
        found = Config().indexes
        declared = tuple(found)

    def known(value: Value) -> str:
        name = text(value)
        if declared and name not in declared:
            raise Bad(f"there is no such index{nearest(name, declared)}")
        return name

    return top.take("default_index", known, next(iter(found), DEFAULT_INDEX)), found


def _indexes(value: Value) -> tuple[Collection[str], Mapping[str, Index]]:
    """Every name that stands in the file, and the indexes whose names can be."""
    entries = list(value.entries(named=True))
    if not value.node.value:
        raise Bad("at least one index is due")
    names = [key.raw for key, _ in entries]
    found: dict[str, Index] = {}
    edges: list[_Edge] = []
    for key, entry in entries:
        key.attempt(lambda k: _distinct_name(k.raw, names), "")
        found[key.raw] = _index(key, entry, edges)
    _check_layers(edges, names)
    return names, found


def _distinct_name(name: str, names: Collection[str]) -> str:
    """The name, if it can be one and no other index takes its URLs."""
    index_name(name)
    if "/" not in name and f"root/{name}" in names:
        raise Bad(f"clashes with root/{name}, which is how devpi's clients see an index of one segment")
    owner, _, last = name.partition("/")
    if last in {"simple", "packages"} and owner in names:
        raise Bad(f"hides /{name}/ of the index {owner}")
    return name


def _index(key: Value, value: Value, edges: list[_Edge]) -> Index:
    """One index. Its layers are added to `edges`."""
    default = Index(name=key.raw)
    if value.kind != "map":
        value.problem(
            "an index needs mirrors" if value.is_null else f"a mapping is due, not {value.described}"
        )
        return default
    section = Section(value)
    mirrors_at, layers_at = section.get("mirrors"), section.get("layers")
    has_mirrors = mirrors_at is not None and not mirrors_at.is_null
    has_layers = layers_at is not None and not layers_at.is_null
    if has_mirrors and has_layers and layers_at is not None:
        layers_at.problem("stands beside mirrors: an index has one or the other")
    if not has_mirrors and not has_layers:
        key.problem("an index needs mirrors")
    index = replace(
        default,
        mirrors=section.take("mirrors", mirrors, ()) if has_mirrors else (),
        layers=section.take("layers", lambda v: _layers(v, key.raw, edges), ()) if has_layers else (),
        ttl=section.take("ttl", scalar(duration), default.ttl),
        patience=section.take("patience", scalar(duration), default.patience),
        stale_while_revalidate=section.take(
            "stale_while_revalidate", scalar(duration), default.stale_while_revalidate
        ),
        stale_if_error=section.take("stale_if_error", scalar(duration), default.stale_if_error),
        negative_ttl=section.take("negative_ttl", scalar(duration), default.negative_ttl),
        web_url=section.take("web_url", optional(worded(_project_link)), None),
        quota=section.take("quota", optional(scalar(share)), None),
        offline=section.take("offline", flag, default.offline),
        synthesize_metadata=section.take("synthesize_metadata", flag, default.synthesize_metadata),
        prefetch_dependencies=section.take("prefetch_dependencies", flag, default.prefetch_dependencies),
        prefetch_wheels=section.take("prefetch_wheels", flag, default.prefetch_wheels),
        auth=section.take("auth", optional(one_of("none")), None),
    )
    section.finish()
    if has_layers:
        for setting in _OF_MIRRORS:
            at = section.get(setting)
            if at is not None and getattr(index, setting) != getattr(default, setting):
                at.warn("has no effect on an index with layers: theirs hold")
    return index


def _project_link(raw: str) -> str:
    """A link to a project for people: `{name}` stands for its name, also in a query."""
    web_address(raw.partition("#")[0].partition("?")[0])
    rest = raw.replace("{name}", "")
    if rest == raw or "{" in rest or "}" in rest:
        raise Bad("a link with {name} in it is due")
    return raw


def _layers(value: Value, index: str, edges: list[_Edge]) -> tuple[Layer, ...]:
    """The layers of one index, in order of authority."""
    found: list[Layer] = []
    for item in value.items():
        layer = item.attempt(_layer, None)
        if layer is None:
            continue
        if any(layer.index == other.index for other in found):
            item.problem(f"the index {layer.index} stands here twice")
            continue
        found.append(layer)
        edges.append(_Edge(index, layer.index, item))
    if not found:
        raise Bad("at least one layer is due")
    return tuple(found)


def _layer(value: Value) -> Layer | None:
    """One layer; None when it doesn't name its index."""
    if value.kind != "map":
        return Layer(index=text(value))
    section = Section(value)
    name = section.take("index", text, "")
    owns = section.take("owns", optional(_owned), None) or ()
    section.finish()
    if not name:
        value.problem("a layer needs the name of an index, as index")
    return Layer(index=name, owns=owns) if name else None


def _owned(value: Value) -> tuple[str, ...]:
    patterns = listed(worded(project_pattern))(value)
    if not patterns:
        raise Bad("an empty list owns nothing: leave it out, and the layer is asked first for all")
    return patterns


def _check_layers(edges: list[_Edge], names: Collection[str]) -> None:
    """Note layers that no index is called, and those that lead back to where they began."""
    below: dict[str, list[_Edge]] = {}
    for edge in edges:
        if edge.layer in names:
            below.setdefault(edge.index, []).append(edge)
        else:
            edge.value.problem(f"there is no such index{nearest(edge.layer, names)}")
    done: set[str] = set()
    for start in below:
        _walk([start], below, done)


def _walk(trail: list[str], below: Mapping[str, list[_Edge]], done: set[str]) -> None:
    """Go down from the end of the trail, to each index once."""
    here = trail[-1]
    for edge in () if here in done else below.get(here, ()):
        if edge.layer in trail:
            circle = [*trail[trail.index(edge.layer) :], edge.layer]
            edge.value.problem(f"layers go round in a circle: {' → '.join(circle)}")
        else:
            _walk([*trail, edge.layer], below, done)
    done.add(here)
