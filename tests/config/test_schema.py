from __future__ import annotations

import ast
import inspect
import pickle
import traceback
from dataclasses import FrozenInstanceError

import pytest

from pypicache.config import schema
from pypicache.config.schema import Config, Listen
from pypicache.config.secret import Secret


def test_a_secret_prints_as_stars_wherever_it_prints() -> None:
    secret = Secret("hunter2")
    told = f"{secret} {secret!r} {secret!s:>5} {[secret]} %s" % secret
    told += "".join(traceback.format_exception(ValueError(secret)))
    assert "hunter2" not in told
    assert secret.reveal() == "hunter2"


def test_secrets_are_equal_when_their_text_is() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert (bool(Secret("")), bool(Secret("x"))) == (False, True)


def test_a_configuration_can_be_sent_to_another_process() -> None:
    config = Config()
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().server.workers = 2  # type: ignore[misc] # that it is refused is the point


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        (Listen(host="127.0.0.1", port=80), "127.0.0.1:80"),
        (Listen(host="::1", port=80), "[::1]:80"),
        (Listen(port=80), "*:80"),
    ],
)
def test_an_address_prints_as_the_file_has_it(listen: Listen, text: str) -> None:
    assert str(listen) == text


def test_every_field_has_its_sentence() -> None:
    """Each annotated name of a dataclass is followed by a docstring."""
    tree = ast.parse(inspect.getsource(schema))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign):
                assert isinstance(following, ast.Expr), ast.unparse(statement)
