/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealed datagrams: frames between nodes that share a key, each encrypted and authenticated
 * (XChaCha20-Poly1305), accepted at most once, by the boot of the node it was sealed for only.
 * The format and why it keeps replays out: README.md, "Sealed datagrams".
 *
 * No I/O and no clock.  Any thread may call any function but _new and _free, which stand at the
 * beginning and end, and _add, one thread at a time; a lock inside is held for a few loads and
 * stores, never while encrypting.
 */
#ifndef NETDEV_SEAL_H
#define NETDEV_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_BYTES 32u
#define SEAL_HEADER    56u                      /* bytes before the encrypted frame */
#define SEAL_OVERHEAD  (SEAL_HEADER + 16u)      /* bytes that a datagram is longer than its frame */
#define SEAL_HELLO_LEN (SEAL_OVERHEAD + 32u)    /* of a datagram that carries no frame */
#define SEAL_FRAME_MAX (65507u - SEAL_OVERHEAD) /* bytes; a datagram's are 65,507 */
#define SEAL_WINDOW    2048u                    /* datagrams that may overtake another */
#define SEAL_PEERS_MAX 255u

struct seal;

/* What became of a datagram. */
enum seal_verdict {
    SEAL_FRAME,      /* a frame for us */
    SEAL_GREETING,   /* an authentic hello; no frame */
    SEAL_SHORT,      /* fewer bytes than a header, a tag and one byte */
    SEAL_FORMAT,     /* magic, version, type or the length of a hello */
    SEAL_STRANGER,   /* the sender is no peer of ours */
    SEAL_ELSEWHERE,  /* for another node */
    SEAL_FORGED,     /* not sealed with our key, or altered */
    SEAL_OTHER_BOOT, /* authentic, but for an earlier boot of ours */
    SEAL_EPOCH,      /* authentic, but of a boot of the sender that is not the proven one */
    SEAL_REPLAYED,   /* had this one already */
    SEAL_LATE,       /* too old for the window to tell */
    SEAL_BAD_ECHO,   /* a hello that answers what we did not ask, or asked once and had answered */
    SEAL_VERDICTS
};

/* What seal_open() found. */
struct seal_opened {
    unsigned peer;        /* index from seal_add(); valid unless SHORT, FORMAT or STRANGER */
    const uint8_t *frame; /* FRAME: inside of the datagram */
    size_t len;
    bool fresh;       /* proven to be from the peer, now: its address may be believed */
    bool answer;      /* seal_answer() is due */
    bool challenge;   /* seal_hello() is due */
    uint64_t epoch;   /* for seal_answer(): of the hello */
    uint8_t echo[16]; /* for seal_answer(): its cookie */
};

typedef void (*seal_random)(void *arg, void *buf, size_t len);

/*
 * The key in a file: 32 bytes, or 64 hexadecimal digits with or without a line end.  0, -EPERM
 * (others than its owner have access: as ssh, it is not used then), -EINVAL (not a key), or -errno
 * of opening and reading.
 */
int seal_key_load(const char *path, uint8_t key[SEAL_KEY_BYTES]);

/*
 * node: our number, unique among those that share the key.  random: NULL for the system's; a
 * function of the owner's for runs that must repeat.  The key is copied.  NULL: no memory or no
 * libsodium.
 */
struct seal *seal_new(const uint8_t key[SEAL_KEY_BYTES], uint16_t node, seal_random random,
                      void *arg);
void seal_free(struct seal *s); /* wipes the key; NULL is fine */
/* Makes a node a peer: its index from 0 on, -EEXIST (also for our own number), -ENOSPC, -ENOMEM. */
int seal_add(struct seal *s, uint16_t node);
/* A session: the peer's boot is known and proven, so that frames can be sealed for it. */
bool seal_ready(struct seal *s, unsigned peer);

/*
 * Seals 1..SEAL_FRAME_MAX bytes into out (len + SEAL_OVERHEAD).  The datagram's length; -ENOTCONN:
 * no session yet, send seal_hello(); -EMSGSIZE.
 */
long seal_frame(struct seal *s, unsigned peer, const void *frame, size_t len, void *out);
/* Writes a hello that asks the peer to prove itself: SEAL_HELLO_LEN. */
size_t seal_hello(struct seal *s, unsigned peer, void *out);
/* Writes the answer to the hello that was opened: SEAL_HELLO_LEN. */
size_t seal_answer(struct seal *s, const struct seal_opened *o, void *out);
/* Decides on a datagram and decrypts it in place.  Any bytes are allowed. */
enum seal_verdict seal_open(struct seal *s, void *datagram, size_t len, struct seal_opened *o);
const char *seal_verdict_name(enum seal_verdict v);

#endif
