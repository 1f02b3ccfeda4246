# netdev/backend_udp.c test_backend_udp drops
# Cut datagrams are frames.
s/m->msg_hdr.msg_flags & MSG_TRUNC/m->msg_hdr.msg_flags \& MSG_OOB/
