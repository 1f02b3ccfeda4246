# netdev/rxcsum.c test_netdev_rx_offload lying_lengths
# The IPv6 payload length is believed.
s/ || get16be(p + 4) > len - 40//
