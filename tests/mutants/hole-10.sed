# netdev/tx.c test_e1000_holes hole_10
# A reset out of a transmission goes unnoticed.
s/n->generation == generation && (cmd & TXD_EOP)/(cmd \& TXD_EOP)/
/^static void gather/,/^}/s/n->generation != generation || p->bad/p->bad/
