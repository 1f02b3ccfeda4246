/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: guest/fs guest/apps/m3fs/session.c tools/fsimg.c tools/fscheck.c */
/*
 * Hostile clients of m3fs: any requests of the kernel and messages of clients, well-formed and not.
 * After each of them every capability that is out is for blocks that have an owner; a capability is
 * only for data blocks; when all sessions are closed none is out, and the file system is sound.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/apps/m3fs/m3fs.h"
#include "../../tools/fsimg.h"
#include "input.h"

#define IMAGE (96u << 10)
#define SELS  4096u
#define OPS   300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct m3fs m;
static struct {
    bool used, mem;
    uint64_t off, size;
} sels[SELS];
static unsigned live;
static unsigned revokes; /* so far, 0: none fails */

static void must(int truth, const char *text)
{
    if (!truth) {
        fprintf(stderr, "not so: %s\n", text);
        abort();
    }
}

/* ---- capabilities ---- */

static unsigned fake_select(void *arg, unsigned count)
{
    unsigned n = 0;

    (void)arg;
    for (unsigned i = 1; i < SELS; i++) {
        n = sels[i].used ? 0 : n + 1;
        if (n < count)
            continue;
        for (unsigned j = i + 1 - count; j <= i; j++) {
            memset(&sels[j], 0, sizeof(sels[j]));
            sels[j].used = true;
        }
        live += count;
        return i + 1 - count;
    }
    must(0, "the number of capabilities is bounded");
    return 0;
}

static unsigned fake_gate(void *arg, uint64_t label, unsigned *sel)
{
    must(label != 0, "a client's label is not the kernel's");
    *sel = fake_select(arg, 1);
    return SE_OK;
}

static unsigned fake_derive(void *arg, unsigned sel, uint64_t off, uint64_t size, unsigned perms)
{
    (void)arg;
    must(sels[sel].used && !sels[sel].mem, "a selector is used once");
    must(size > 0 && off >= m.fs.data * (uint64_t)m.fs.sb.blocksize && off <= IMAGE &&
             size <= IMAGE - off,
         "only data blocks are given out");
    must(perms && perms <= 7, "permissions are the file's");
    sels[sel].mem = true;
    sels[sel].off = off;
    sels[sel].size = size;
    return off % 7 == 3 ? SE_OUT_OF_MEM : SE_OK;
}

/* Now and then one fails, and works the next time. */
static unsigned fake_revoke(void *arg, unsigned start, unsigned count)
{
    (void)arg;
    if (revokes && ++revokes % 5 == 0 && m.nkept < M3FS_KEPT / 2)
        return SE_RECV_GONE;
    for (unsigned i = start; i < start + count; i++) {
        must(sels[i].used, "what is revoked is there");
        sels[i].used = false;
        live--;
    }
    return SE_OK;
}

static void check_caps(void)
{
    bool used;

    for (unsigned i = 1; i < SELS; i++) {
        if (!sels[i].used || !sels[i].mem)
            continue;
        for (uint64_t at = sels[i].off; at < sels[i].off + sels[i].size; at += m.fs.sb.blocksize)
            must(fs_bit(&m.fs, m.fs.block_map, (uint32_t)(at / m.fs.sb.blocksize), &used) ==
                         SE_OK &&
                     used,
                 "blocks that are given out have an owner");
    }
}

/* ---- input ---- */

static void put_path(struct input *in, struct msg_writer *w)
{
    static const char *const paths[] = {"/a", "/b", "/d", "/d/a", "/d/b", "/d/d",    "/",
                                        "",   ".",  "..", "/d/",  "a/b",  "/d/../a", "//d//a"};
    const char *p = paths[byte(in) % 14];

    msg_put_str(w, p, strlen(p));
}

/* Mostly what the operation wants; then a few bytes may be changed or cut off. */
static size_t build(struct input *in, uint8_t *buf, size_t size)
{
    struct msg_writer w;
    uint8_t op = byte(in), odd;

    msg_writer_init(&w, buf, size);
    msg_put(&w, op % 11);
    switch (op % 11) {
    case M3FS_OPEN:
        put_path(in, &w);
        msg_put(&w, byte(in));
        break;
    case M3FS_SEEK:
        msg_put(&w, byte(in) % 18);
        msg_put(&w, (uint64_t)(int64_t)(int8_t)byte(in) * 97);
        msg_put(&w, byte(in) % 4);
        msg_put(&w, byte(in));
        msg_put(&w, byte(in) * 13u);
        break;
    case M3FS_FSTAT:
    case M3FS_CLOSE:
        msg_put(&w, byte(in) % 18);
        msg_put(&w, byte(in));
        msg_put(&w, byte(in) * 23u);
        break;
    default:
        put_path(in, &w);
        if (op % 11 == M3FS_LINK || op % 11 == M3FS_RENAME)
            put_path(in, &w);
        else
            msg_put(&w, byte(in));
    }
    odd = byte(in);
    if (odd & 1)
        buf[byte(in) % w.len] = byte(in);
    return odd & 2 ? byte(in) % (w.len + 1) : w.len;
}

static void send_message(struct input *in, uint64_t label)
{
    uint8_t buf[256], reply[256 - 25];
    size_t n = build(in, buf, sizeof(buf));
    uint8_t *exact = malloc(n ? n : 1);
    struct msg_reader r;
    struct msg_writer w;

    if (!exact)
        return;
    memcpy(exact, buf, n);
    msg_reader_init(&r, exact, n);
    msg_writer_init(&w, reply, sizeof(reply));
    m3fs_message(&m, label, &r, &w);
    must(w.len >= 8 && !w.error, "there is an answer");
    free(exact);
}

static void send_obtain(struct input *in, uint64_t ident)
{
    uint64_t words[5] = {byte(in) % 18, byte(in) % 20, byte(in) % 6, byte(in) % 40, byte(in) % 3};
    uint8_t reply[256];
    unsigned room = byte(in) % 6;
    struct cap_range give = {0, 0, 0};
    struct msg_reader r;
    struct msg_writer w;

    if (byte(in) & 1)
        words[byte(in) % 5] = (uint64_t)byte(in) << 56;
    msg_reader_init(&r, words, byte(in) & 1 ? sizeof(words) : byte(in) % sizeof(words));
    msg_writer_init(&w, reply, sizeof(reply));
    if (m3fs_obtain(&m, ident, room, &r, &give, &w) != SE_OK)
        return;
    must(give.count <= room, "not more than was asked for");
    for (unsigned i = 0; i < give.count; i++)
        must(sels[give.start + i].used, "what is given is there");
}

static void step(struct input *in, uint64_t *idents)
{
    uint8_t what = byte(in), who = byte(in) % 4;
    struct msg_reader none;

    msg_reader_init(&none, idents, 0);
    if (what % 16 == 0 && idents[who])
        m3fs_close_session(&m, idents[who]);
    if (what % 16 == 0)
        idents[who] = 0;
    if (!idents[who])
        must(m3fs_open_session(&m, &none, &idents[who]) == SE_OK, "a session");
    if (what % 16 == 1)
        m3fs_close_session(&m, idents[who] ^ (1u << (what >> 4))); /* of nobody, or another's */
    else if (what % 4 == 3)
        send_obtain(in, idents[who]);
    else
        send_message(in, what % 16 == 2 ? byte(in) : idents[who]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct m3fs_caps caps = {fake_gate, fake_select, fake_derive, fake_revoke, NULL};
    static uint8_t image[IMAGE];
    struct input in = {data, size};
    uint64_t idents[4] = {0};
    struct fscheck c = {0};
    struct fsimg img;

    memset(image, 0, sizeof(image));
    memset(sels, 0, sizeof(sels));
    live = 0;
    revokes = 1;
    must(fsimg_format(&img, image, IMAGE, 1024, 20) == SE_OK, "an empty image");
    memset(&m, 0, sizeof(m));
    m.fs = img.fs;
    m3fs_init(&m, &caps);
    for (unsigned i = 0; i < OPS && in.left > 0; i++) {
        step(&in, idents);
        check_caps();
    }
    revokes = 0;
    for (unsigned i = 0; i < M3FS_KEPT; i++) /* each tries one */
        m3fs_close_session(&m, 0);
    must(m.nkept == 0, "all is revoked in the end");
    m3fs_shutdown(&m);
    must(live == 0, "no capability is left");
    fsimg_detach(&img);
    must(fscheck(&c, image, IMAGE), "the file system is sound");
    return 0;
}
