# netdev/internal.h test_e1000_holes hole_20
# No room for the tag behind the longest packet.
s/(NETDEV_FRAME_MAX - 4)/NETDEV_FRAME_MAX/
