# netdev/offload.c test_e1000_holes hole_09
# Loopback that transmits again.
s/nd_receive(n, n->out, len);/nd_receive(n, n->out, len); n->in_tx = false; nd_tx_kick(n);/
