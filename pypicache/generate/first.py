"""The configuration that `pypicache init` writes: the shipped example, made fit for one machine's owner.

It is the example with every setting and its sentence, and two differences: an account for the machine itself, so that
`devpi login root --password=` and `devpi index` work on it, and trust in proxies on the machine itself. It writes nothing.
"""

from __future__ import annotations

from typing import Final

from pypicache.config.shipped import example_path

_CHANGES: Final = (
    (
        """\
# pypicache.yaml: every setting with its default. A setting that is left out has the value shown here, and
# a file of three lines is enough (see pypicache.min.yaml). `pypicache check` tells what is wrong with a file.
""",
        """\
# The configuration of pypicache, with every setting. What is left out has its default, so whatever you don't
# want to look at may go. `pypicache check` tells what is wrong with the file, and what it comes to.
""",
    ),
    (
        """\
  # Proxies, as CIDRs, whose X-Forwarded-* headers are believed.
  trusted_proxies: []
""",
        """\
  # Proxies, as CIDRs, whose X-Forwarded-* headers are believed: those on this machine (the default is none).
  trusted_proxies: [127.0.0.0/8, "::1/128"]
""",
    ),
    (
        """\
  # Name: {password: ...}, {password_hash: ...} (`pypicache passwd` makes it) or {password_file: ...}.
  users: {}
""",
        """\
  # Name: {password: ...}, {password_hash: ...} (`pypicache passwd` makes it) or {password_file: ...}.
  # An empty password is accepted from this machine only, and never through a proxy: `devpi login root --password=`.
  # Anyone with a shell on it may then change the indexes. If that is too many, give root a password, or
  # write `users: {}`.
  users:
    root: {password: ""}
""",
    ),
)


def first_configuration() -> str:
    """The text of the file."""
    text = example_path().read_text(encoding="utf-8")
    for shipped, here in _CHANGES:
        assert shipped in text, shipped
        text = text.replace(shipped, here, 1)
    return text
