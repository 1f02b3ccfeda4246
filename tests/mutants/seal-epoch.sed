# netdev/seal.c test_backend_seal sender_restarts
# Frames of any boot of the sender.
s/if (o->challenge)$/if (!p->epoch)/
