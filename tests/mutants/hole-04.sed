# netdev/rx.c test_e1000_holes hole_04
# The same on the receive side, and a ring of no size.
s/if (head >= size || tail >= size)/if (size == ~0u)/
s/if (MAC(n, E_RDH) >= ring_size(n) || MAC(n, E_RDT) >= ring_size(n))/if (ring_size(n) == ~0u)/
