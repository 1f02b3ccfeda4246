# netdev/rxcsum.c test_netdev_rx_offload lying_lengths
# The UDP length is believed.
s/ || get16be(p + 4) > len//
