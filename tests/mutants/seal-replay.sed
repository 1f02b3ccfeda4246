# netdev/seal.c test_backend_seal window
# No memory of numbers.
s/if (\*w & bit)/if (*w > ~0ull - 1)/
