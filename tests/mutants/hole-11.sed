# netdev/rx.c test_e1000_holes hole_11
# Short frames are not padded here.
s/if (len < ETH_MIN)$/if (len == ~0u)/
