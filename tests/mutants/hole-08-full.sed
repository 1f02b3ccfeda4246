# netdev/tx.c test_e1000_holes hole_08
# A full segment that is not sent: no progress.
/^static void gather/,/^}/s/if (p->size == limit(p))/if (p->size > limit(p))/
