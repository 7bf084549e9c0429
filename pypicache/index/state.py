"""What a download goes through.

States and what moves between them::

    CLAIM    --the spool is ours-->          FILL (at what an earlier writer left)
    CLAIM    --another process writes it-->  CLAIM (readers follow what that one brings)
    CLAIM    --it has been published-->      PUBLISHED
    FILL     --every byte is there-->        VERIFY
    FILL     --no mirror brings more-->      FAILED (the spool is kept)
    FILL     --nobody reads, much to do-->   FAILED (the spool is kept)
    FILL     --the disk is full-->           FAILED (readers go on without the store)
    VERIFY   --the digest agrees-->          PUBLISHED
    VERIFY   --it doesn't-->                 CLAIM (from zero, one mirror at a time) | FAILED
    VERIFY   --the disk is full-->           FAILED (readers go on without the store)

It is the transfer that does this; here are the names.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """See the table in the module's docstring."""

    CLAIM = "claim"
    FILL = "fill"
    VERIFY = "verify"
    PUBLISHED = "published"
    FAILED = "failed"


ENDED = frozenset({State.PUBLISHED, State.FAILED})
"""Nothing more will happen."""
