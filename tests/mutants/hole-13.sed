# netdev/tx.c test_e1000_holes hole_13
# A context between fragments takes effect.
/^static void take_data/,/^}/s/if (!p->started)/if (p->started) p->ctx = p->tso ? n->tx_tso : n->tx_plain; else/
