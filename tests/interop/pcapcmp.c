/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapcmp OURS THEIRS MAC LEAST
 *
 * Compares two recordings of one wire, ours (pcapng) and QEMU's (pcap, of filter-dump): what either
 * side sent, told by our MAC as source, has to stand in both, in the same order, byte by byte. Each
 * side began and ended its recording when it liked, so what the receiver has may be a part of what
 * the sender has, without gaps.  At least LEAST frames must be common in each direction.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 100000u

struct frame {
    const uint8_t *data;
    uint32_t len;
};

struct record {
    const char *path;
    uint8_t *bytes;
    size_t size;
    struct frame frame[2][FRAMES_MAX]; /* sent by us, by them */
    unsigned count[2];
};

static uint8_t mac[6];

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "pcapcmp: %s: %s\n", path, what);
    exit(2);
}

static uint32_t word(const struct record *r, size_t at)
{
    uint32_t v;

    if (at > r->size || r->size - at < 4)
        fail(r->path, "cut short");
    memcpy(&v, r->bytes + at, 4);
    return v;
}

static void note(struct record *r, size_t at, uint32_t len)
{
    struct frame *f;
    unsigned who;

    if (at > r->size || r->size - at < len)
        fail(r->path, "cut short");
    if (len < 14)
        fail(r->path, "a frame without addresses");
    who = memcmp(r->bytes + at + 6, mac, 6) != 0;
    if (r->count[who] == FRAMES_MAX)
        fail(r->path, "too many frames");
    f = &r->frame[who][r->count[who]++];
    f->data = r->bytes + at;
    f->len = len;
}

static void parse(struct record *r)
{
    size_t at;

    if (word(r, 0) == 0xA1B2C3D4) {
        for (at = 24; at < r->size; at += 16 + word(r, at + 8))
            note(r, at + 16, word(r, at + 8));
        return;
    }
    if (word(r, 0) != 0x0A0D0D0A)
        fail(r->path, "neither pcap nor pcapng");
    for (at = 0; at < r->size;) {
        uint32_t total = word(r, at + 4);

        if (total < 12 || total % 4 || total > r->size - at)
            fail(r->path, "a block of a wrong length");
        if (word(r, at) == 6)
            note(r, at + 28, word(r, at + 20));
        at += total;
    }
}

static struct record *load(const char *path)
{
    struct record *r = calloc(1, sizeof(*r));
    FILE *f = fopen(path, "rb");
    long size;

    if (!r || !f)
        fail(path, "cannot be read");
    r->path = path;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    r->size = (size_t)size;
    r->bytes = malloc(r->size + 1);
    if (size < 24 || !r->bytes || fread(r->bytes, 1, r->size, f) != r->size)
        fail(path, "cannot be read");
    fclose(f);
    parse(r);
    return r;
}

static int same(const struct frame *a, const struct frame *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* How many of `got` stand at `from` of `sent`, in a row. */
static unsigned run_at(const struct record *sent, const struct record *got, unsigned who,
                       unsigned from)
{
    unsigned n = 0;

    while (n < got->count[who] && from + n < sent->count[who] &&
           same(&sent->frame[who][from + n], &got->frame[who][n]))
        n++;
    return n;
}

/* All that the receiver has, up to where the sender's recording ends, in one row of the sender's.
 */
static int compare(const struct record *sent, const struct record *got, unsigned who,
                   unsigned least)
{
    unsigned best = 0, at = 0;

    for (unsigned from = 0; from < sent->count[who]; from++) {
        unsigned n = run_at(sent, got, who, from);

        if (n > best) {
            best = n;
            at = from;
        }
    }
    printf("pcapcmp: %s: %u sent, %u received, %u in common from frame %u on\n",
           who ? "theirs" : "ours", sent->count[who], got->count[who], best, at);
    return best < least || (best < got->count[who] && at + best < sent->count[who]);
}

int main(int argc, char **argv)
{
    struct record *ours, *theirs;
    unsigned m[6], least;

    if (argc != 5 ||
        sscanf(argv[3], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) {
        fprintf(stderr, "usage: pcapcmp OURS THEIRS MAC LEAST\n");
        return 2;
    }
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)m[i];
    least = (unsigned)strtoul(argv[4], NULL, 10);
    ours = load(argv[1]);
    theirs = load(argv[2]);
    return compare(ours, theirs, 0, least) | compare(theirs, ours, 1, least);
}
