from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import yaml

from pypicache.config.load import load
from pypicache.config.schema import Admin, Auth, Cache, Config, Index, Log, Mirror, Server
from pypicache.config.shipped import example_path

SECTIONS = {
    "server": Server,
    "cache": Cache,
    "log": Log,
    "admin": Admin,
    "auth": Auth,
    "indexes.*": Index,
    "indexes.*.mirrors.*": Mirror,
}

SPELLED_OTHERWISE = {
    "indexes.*.mirrors.*.connect_timeout": "indexes.*.mirrors.*.timeout.connect",
    "indexes.*.mirrors.*.read_timeout": "indexes.*.mirrors.*.timeout.read",
}

FILES_OF_SECRETS = {
    "auth.token_files",
    "indexes.*.mirrors.*.password_file",
    "indexes.*.mirrors.*.token_file",
}

NOT_IN_THE_FILE = {"path", "warnings", "indexes.*.name"}


def _settings_of_the_schema() -> Iterator[str]:
    yield from (item.name for item in fields(Config))
    for prefix, section in SECTIONS.items():
        for item in fields(section):
            name = f"{prefix}.{item.name}"
            yield SPELLED_OTHERWISE.get(name, name)
    yield from FILES_OF_SECRETS


def _keys(node: yaml.Node, path: str = "") -> Iterator[tuple[str, int]]:
    """Every key that stands in the file, with `*` for names and places in lists, and its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = "*" if path == "indexes" else key.value
            here = f"{path}.{name}" if path else name
            yield here, key.start_mark.line
            yield from _keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _keys(value, f"{path}.*")


def _example() -> list[tuple[str, int]]:
    root = yaml.compose(example_path().read_text(), Loader=yaml.SafeLoader)
    assert root is not None
    return list(_keys(root))


def test_the_example_is_the_defaults_without_a_word_of_warning() -> None:
    env = {"HOME": "/home/me"}
    config = load(example_path(), env)
    assert config.warnings == ()
    assert replace(config, path=None) == load(None, env)


def test_the_example_has_every_setting_and_no_other() -> None:
    containers = {"indexes.*", "indexes.*.mirrors.*.timeout"}
    assert {key for key, _ in _example()} - containers == set(_settings_of_the_schema()) - NOT_IN_THE_FILE


def test_every_setting_of_the_example_has_its_sentence() -> None:
    """A comment stands above each, or above the group of lines that it is one of."""
    lines = example_path().read_text().splitlines()
    silent = {"server", "cache", "log", "indexes.*"}
    for key, line in _example():
        group = line
        while lines[group - 1].strip() and not lines[group - 1].strip().startswith("#"):
            group -= 1
        told = lines[group - 1].strip().startswith("#")
        assert told or key.split(".")[0] in silent, key
        assert line - group <= 5, f"{key} is far from its sentence"


def test_the_smallest_example_is_three_lines_of_failover() -> None:
    path = example_path().with_name("pypicache.min.yaml")
    if not path.is_file():
        path = Path(__file__).parents[2] / "conf" / "pypicache.min.yaml"
    config = load(path, {"HOME": "/home/me"})
    assert len(path.read_text().splitlines()) == 3
    assert [mirror.name for mirror in config.indexes["root/pypi"].mirrors] == ["aliyun", "tuna", "pypi"]
    assert config.warnings == ()
