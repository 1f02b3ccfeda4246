# netdev/backend_udp.c test_backend_udp learns
# An address is believed before its datagram is.
s/if (o.fresh)/if (v != SEAL_SHORT)/
