"""What a download goes through.

States and what moves between them::

    CLAIM    --the spool is ours-->          FILL (at what an earlier writer left)
    CLAIM    --another process writes it-->  CLAIM (readers follow what that one brings)
    CLAIM    --it has been published-->      PUBLISHED
    FILL     --every byte is there-->        VERIFY
    FILL     --no mirror brings more-->      FAILED (the spool is kept)
    FILL     --nobody reads, much to do-->   FAILED (the spool is kept)
    FILL     --the disk is full-->           FAILED (readers go on without the store)
    VERIFY   --the digest agrees-->          STORE (readers have all of it, and don't wait for the disk)
    VERIFY   --it doesn't-->                 CLAIM (from zero, one mirror at a time) | FAILED
    STORE    --it has its name-->            PUBLISHED
    STORE    --the disk is full-->           FAILED (readers go on without the store)

It is the transfer that does this; here are the names.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """See the table in the module's docstring."""

    CLAIM = "claim"
    FILL = "fill"
    VERIFY = "verify"
    STORE = "store"
    PUBLISHED = "published"
    FAILED = "failed"


RIGHT = frozenset({State.STORE, State.PUBLISHED})
"""Every byte is there, and the digest agrees."""

ENDED = frozenset({State.PUBLISHED, State.FAILED})
"""Nothing more will happen."""

BROUGHT = frozenset({State.VERIFY, State.STORE})
"""What it takes now is this machine's time, and no mirror's."""
