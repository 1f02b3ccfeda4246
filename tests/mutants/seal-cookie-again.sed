# netdev/seal.c test_backend_seal sender_restarts
# A cookie is good for ever.
/^static enum seal_verdict judge_hello/,/^}/s/draw_cookie(s, p);//
