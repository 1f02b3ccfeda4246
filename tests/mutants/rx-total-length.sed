# netdev/rxcsum.c test_netdev_rx_offload lying_lengths
# The IPv4 total length is believed.
s/total < head || total > len/total < head/
