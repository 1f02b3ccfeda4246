# netdev/tx.c test_e1000_holes hole_16
# The header need not cover what is written into it.
s/ip <= c->hdrlen && l4 <= c->hdrlen/(ip <= c->hdrlen || l4)/
