# netdev/rx.c test_e1000_holes hole_05
# Until the frame is stored, however many descriptors have no buffer.
/^static enum netdev_rx deliver/,/^}/s/if (room == 0)/if (room == ~0u)/
