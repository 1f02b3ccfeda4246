# netdev/tx.c test_e1000_holes hole_10
# A reset out of a transmission goes unnoticed.
/^static int serve/,/^}/s/if (n->generation != generation)/if (n->generation > ~0u - 1)/
