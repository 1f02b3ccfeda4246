# netdev/eeprom.c test_netdev_rx_offload eeprom_write
# Writing without being enabled.
s/if (!n->ee.writable)/if (n->ee.bits == 0)/
