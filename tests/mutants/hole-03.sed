# netdev/tx.c test_e1000_holes hole_03
# A head or tail outside of the ring is served.
/^static bool good_ring/,/^}/s/return .*;/return n != NULL;/
