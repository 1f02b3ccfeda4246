# netdev/backend_udp.c test_backend_udp flood
# Every hello is answered.
s/ && u->peers\[o.peer\].answered < ANSWERS_MAX//
