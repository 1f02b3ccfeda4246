# netdev/backend_udp.c test_backend_udp drops
# Frames from anywhere.
/^static bool open_plain/,/^}/s/if (!p) {/if (!p) p = u->peers; if (!p) {/
