# netdev/rx.c test_e1000_holes hole_01
# No check of the length before buffers are filled.
s/return !(rctl & RCTL_SBP) &&/return false \&\&/
