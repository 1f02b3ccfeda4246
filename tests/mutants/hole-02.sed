# netdev/tx.c test_e1000_holes hole_02
# Any segmentation context is good, also one of zero bytes.
/^static bool good_tso/,/^}/s/return c->mss > 0 &&/return c->mss < ~0u ||/
