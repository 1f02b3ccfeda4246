# netdev/tx.c test_e1000_holes hole_19
# A packet of nothing is sent.
/^static void end_packet/,/^}/s/p->bad || p->size == 0/p->bad/
