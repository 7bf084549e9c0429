"""Decisions: pure functions from facts and `now` to an answer.

Nothing here awaits, opens a file, asks the clock or logs; a test reads the imports and holds that.

===========  ==================================================================
ranges       Range and If-Range: which bytes of a file a request wants
conditional  If-None-Match, and requests that insist on a fresh answer
freshness    whether a held page goes out, and whether mirrors are asked first
retry        how long a mirror wants to be left alone, and when its failure may be over
breaker      closed, open, half-open: whether a mirror is worth asking
score        how well a mirror does, and when that outweighs the configured order
hedge        when a second mirror is asked while the first is silent
appraisal    how far behind mirrors are, and in which order to ask them
resume       whether a response may continue the bytes of a broken download
addresses    where a link out of a page may lead: no inner networks
redirects    where a redirect may lead
eviction     which stored files go, and how much room there has to be
scrub        how far the hashing of stored files should have come
policy       what of a project an index hands out
tokens       whether somebody has logged in
passwords    whether a password belongs to a hash
attempts     when the next guess at a password may be made
===========  ==================================================================

Times are seconds, instants are seconds on one clock of the caller's choice, headers are text as it
came or None when absent. All of that text is hostile, and none of it makes a rule raise.
"""
