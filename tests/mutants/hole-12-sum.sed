# netdev/tx.c test_e1000_holes hole_12
# Header and MSS are not bounded together.
s/(uint32_t)c->hdrlen + c->mss <= PACKET_MAX/c->mss <= PACKET_MAX/
