# netdev/seal.c test_backend_seal window
# Numbers behind the window are looked up in it.
s/p->highest - number >= SEAL_WINDOW/p->highest - number >= SEAL_WINDOW + 128/
