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


_SYSTEM: Final = (
    (
        """\
  # Where everything is kept. Left like this, it is $CACHE_DIRECTORY where systemd sets that. It must not be
  # on a network file system: downloads are shared between processes by flock.
  dir: ~/.cache/pypicache
""",
        """\
  # Where everything is kept: where systemd makes it for the service, and where commands look for it then. It must
  # not be on a network file system: downloads are shared between processes by flock.
  dir: /var/cache/pypicache
""",
    ),
)


def first_configuration(*, system: bool = False) -> str:
    """The text of the file; `system` for the machine's own service, below /etc."""
    text = example_path().read_text(encoding="utf-8")
    for shipped, here in (*_CHANGES, *(_SYSTEM if system else ())):
        assert shipped in text, shipped
        text = text.replace(shipped, here, 1)
    return text
