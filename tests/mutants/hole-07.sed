# netdev/tx.c test_e1000_holes hole_07
# An assertion about the layout of a packet.
/^static void end_packet/,/^}/s/p->last = true;/p->last = true; if (p->size == 0) __builtin_trap();/
