# netdev/regs.c test_e1000_holes hole_18
# The offset is an index, whatever it is.
s/offset \/ 4 < REG_WORDS ? n->row\[offset \/ 4\] : 0/n->row[offset \/ 4]/
