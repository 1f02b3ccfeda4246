# netdev/seal.c test_backend_seal key_file
# A key that all may read.
s/if ((st.st_mode & 07) || (st.st_uid == getuid() && (st.st_mode & 077)))/if (st.st_mode \& 01)/
