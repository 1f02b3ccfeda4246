# netdev/regs.c test_e1000_holes hole_21
# CTRL.RST only clears itself.
/^static void ctrl_write/,/^}/s/nd_soft_reset(n);/MAC(n, offset) = value \& ~CTRL_RST;/
