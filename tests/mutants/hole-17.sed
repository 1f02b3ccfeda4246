# netdev/offload.c test_e1000_holes hole_17
# Checksum offsets beyond the frame.
s/if (at + 2 > p->size || start >= stop)/if (at + 2 > PACKET_MAX || start >= stop)/
