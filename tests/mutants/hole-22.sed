# netdev/irq.c test_e1000_holes hole_22
# The line is not computed anew after IMC.
/^void nd_imc_write/,/^}/s/nd_irq_update(n);//
