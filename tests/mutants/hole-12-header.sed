# netdev/tx.c test_e1000_holes hole_12
# A header longer than its buffer.
s/c->hdrlen <= HEADER_MAX/c->hdrlen <= 255/
