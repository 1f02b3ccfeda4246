# netdev/tx.c test_e1000_holes hole_14
# Lengths cut to sixteen bits.
s/cmd & (data ? 0xFFFFF : 0xFFFF)/cmd \& (data ? 0xFFFF : 0xFFFF)/
