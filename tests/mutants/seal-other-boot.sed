# netdev/seal.c test_backend_seal receiver_restarts
# Frames for any boot of the receiver.
/^static enum seal_verdict judge_frame/,/^}/s/h->your_epoch != s->epoch/h->your_epoch == 0/g
