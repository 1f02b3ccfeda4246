# netdev/seal.c test_backend_seal forged
# The header is not authenticated.
s/d, AUTHENTIC, d + AUTHENTIC/d, 0, d + AUTHENTIC/
s/out, AUTHENTIC,$/out, 0,/
