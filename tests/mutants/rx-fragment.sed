# netdev/rxcsum.c test_netdev_rx_offload unchecked
# Fragments are taken for whole segments.
s/ && !(get16be(p + 6) & 0x3FFF)//
