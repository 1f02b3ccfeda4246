# netdev/rxcsum.c test_netdev_rx_offload lying_lengths
# An IPv4 header of fewer than twenty bytes.
s/head < 20 || total < head/total < head/
