"""Other people's indexes: where pages and files come from, and everything that can go wrong on the way.

=======  ======================================================================
source   the seam: what the rest of the package sees
mirrors  replicas of one index: order, failover
race     one question put to mirrors in turn, and to two at once where one is silent
standing one mirror's breakers and scores
watched  downloads whose outcome a breaker hears of
client   one remote index: pages, and what each status means
unpack   a page's body: inflated within limits, hashed, parsed, off the loop
files    one mirror's copy of a file, and its bytes as they arrive
lookup   a file of another mirror's page, found on the mirror's own
wire     connections: sessions, headers, credentials, redirects
guard    which addresses are dialled for links and redirects
egress   TLS contexts, egress proxies, netrc
socks    connections through a SOCKS proxy
resolver host names to addresses, in threads of their own
faults   every failure of aiohttp, TLS and sockets in this package's words
=======  ======================================================================
"""
