# netdev/seal.c test_backend_seal window
# Words of the window are used again as they are.
s/p->seen\[(newest + i) % WINDOW_WORDS\] = 0;//
