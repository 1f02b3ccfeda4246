/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The m3fs protocol, byte by byte as the original's clients speak it: operation numbers, the layout
 * of requests and replies, get_locs over OBTAIN, and what becomes of capabilities.
 */
/* LINK: guest/fs guest/apps/m3fs/session.c tools/fsimg.c tools/fscheck.c */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/apps/m3fs/m3fs.h"
#include "../../tools/fsimg.h"

#define IMAGE (512u << 10)
#define SELS  2048u

static uint8_t *image;
static struct fsimg img;
static struct m3fs m;
static uint64_t ident;
static unsigned next_sel, live, derives_left, revokes_fail;
static struct {
    bool used;
    uint64_t off, size;
    unsigned perms;
} sels[SELS];

static unsigned fake_select(void *arg, unsigned count)
{
    unsigned first = next_sel;

    (void)arg;
    ck_assert_uint_lt(first + count, SELS);
    next_sel += count;
    for (unsigned i = first; i < next_sel; i++)
        sels[i].used = true;
    live += count;
    return first;
}

static unsigned fake_gate(void *arg, uint64_t label, unsigned *sel)
{
    ck_assert_uint_eq(label, ident);
    *sel = fake_select(arg, 1);
    return SE_OK;
}

static unsigned fake_derive(void *arg, unsigned sel, uint64_t off, uint64_t size, unsigned perms)
{
    (void)arg;
    if (derives_left-- == 0)
        return SE_OUT_OF_MEM;
    sels[sel].off = off;
    sels[sel].size = size;
    sels[sel].perms = perms;
    return SE_OK;
}

static unsigned fake_revoke(void *arg, unsigned start, unsigned count)
{
    (void)arg;
    if (revokes_fail)
        return SE_RECV_GONE;
    for (unsigned i = start; i < start + count; i++) {
        ck_assert(sels[i].used);
        sels[i].used = false;
    }
    live -= count;
    return SE_OK;
}

static void open_session(void)
{
    struct msg_reader none;

    msg_reader_init(&none, &ident, 0);
    ck_assert_uint_eq(m3fs_open_session(&m, &none, &ident), SE_OK);
}

static void setup(void)
{
    static const struct m3fs_caps caps = {fake_gate, fake_select, fake_derive, fake_revoke, NULL};

    image = calloc(1, IMAGE);
    memset(&m, 0, sizeof(m));
    memset(sels, 0, sizeof(sels));
    next_sel = 1;
    live = 0;
    derives_left = UINT32_MAX;
    revokes_fail = 0;
    ck_assert_uint_eq(fsimg_format(&img, image, IMAGE, 4096, 32), SE_OK);
    m.fs = img.fs;
    m3fs_init(&m, &caps);
    open_session();
}

static void teardown(void)
{
    struct fscheck c = {0};

    m3fs_shutdown(&m);
    ck_assert_uint_eq(live, 0);
    ck_assert(fscheck(&c, image, IMAGE));
    fsimg_detach(&img);
    free(image);
}

/* ---- requests as they lie in a message; numbers and strings of 8 bytes and more ---- */

static uint8_t answer[231];
static struct msg_reader in;

static unsigned ask_bytes(uint64_t label, const void *bytes, size_t n)
{
    struct msg_reader r;
    struct msg_writer w;

    msg_reader_init(&r, bytes, n);
    msg_writer_init(&w, answer, sizeof(answer));
    m3fs_message(&m, label, &r, &w);
    ck_assert(!w.error);
    msg_reader_init(&in, answer, w.len);
    return msg_get_u32(&in);
}

static unsigned ask(unsigned op, const char *path, const char *second, unsigned n,
                    const uint64_t *words)
{
    uint8_t buf[512];
    struct msg_writer w;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, op);
    if (path)
        msg_put_str(&w, path, strlen(path));
    if (second)
        msg_put_str(&w, second, strlen(second));
    for (unsigned i = 0; i < n; i++)
        msg_put(&w, words[i]);
    return ask_bytes(ident, buf, w.len);
}

static unsigned open_file(const char *path, uint64_t flags, uint32_t *fd)
{
    unsigned err = ask(0, path, NULL, 1, &flags);

    *fd = err ? 0 : msg_get_u32(&in);
    return err;
}

static struct cap_range give;
static uint8_t locs_bytes[256];

/* get_locs; out: LocList, extended, first offset. */
static unsigned get_locs(uint64_t fd, uint64_t at, uint64_t count, uint64_t blocks, uint64_t flags,
                         uint64_t out[7])
{
    const uint64_t words[5] = {fd, at, count, blocks, flags};
    struct msg_reader r;
    struct msg_writer w;
    unsigned err;

    give = (struct cap_range){0, 0, 0};
    msg_reader_init(&r, words, sizeof(words));
    msg_writer_init(&w, locs_bytes, sizeof(locs_bytes));
    err = m3fs_obtain(&m, ident, 4, &r, &give, &w);
    ck_assert_uint_eq(w.len, err ? 0 : 7 * 8);
    memcpy(out, locs_bytes, 7 * 8);
    return err;
}

static unsigned get_gate(unsigned count)
{
    uint64_t word = 0;
    struct msg_reader r;
    struct msg_writer w;

    msg_reader_init(&r, &word, 0);
    msg_writer_init(&w, locs_bytes, sizeof(locs_bytes));
    return m3fs_obtain(&m, ident, count, &r, &give, &w);
}

START_TEST(layout)
{
    const uint64_t mode = 0755;
    struct m3fs_info info;
    uint32_t fd;

    ck_assert_uint_eq(ask(4, "/d", NULL, 1, &mode), SE_OK);
    ck_assert_uint_eq(open_file("/d/f", FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(fd, 0);
    ck_assert_uint_eq(ask(1, "/d", NULL, 0, NULL), SE_OK);
    memcpy(&info, msg_get_bytes(&in, sizeof(info)), sizeof(info));
    ck_assert_uint_eq(info.mode, 0040755);
    ck_assert_uint_eq(info.links, 2);
    ck_assert_uint_eq(info.size, 4096);
    ck_assert_uint_eq(info.extents, 1);
    ck_assert_uint_eq(ask(2, NULL, NULL, 1, (uint64_t[]){fd}), SE_OK);
    memcpy(&info, msg_get_bytes(&in, sizeof(info)), sizeof(info));
    ck_assert_uint_eq(info.mode, 0100644);
    ck_assert_uint_eq(ask(6, "/d/f", "/g", 0, NULL), SE_OK);
    ck_assert_uint_eq(ask(9, "/g", "/h", 0, NULL), SE_OK);
    ck_assert_uint_eq(ask(7, "/h", NULL, 0, NULL), SE_OK);
    ck_assert_uint_eq(ask(5, "/d", NULL, 0, NULL), SE_DIR_NOT_EMPTY);
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 0}), SE_OK);
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 0}), SE_INV_ARGS);
    ck_assert_uint_eq(ask(10, "/d", NULL, 0, NULL), SE_INV_ARGS);
    ck_assert_uint_eq(ask(UINT32_MAX, "/d", NULL, 0, NULL), SE_INV_ARGS);
}
END_TEST

/* As the original's RegularFile writes: blocks in advance, then the true end. */
START_TEST(write_and_read)
{
    struct m3fs_info info;
    uint64_t out[7];
    uint32_t fd;

    ck_assert_uint_eq(open_file("/f", FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(get_gate(2), SE_INV_ARGS);
    ck_assert_uint_eq(get_gate(1), SE_OK);
    ck_assert_uint_eq(give.count, 1);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 0, 0, out), SE_OK);
    ck_assert_uint_eq(out[0], 0); /* nothing yet */
    ck_assert_uint_eq(give.count, 0);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 8, 0, out), SE_OK);
    ck_assert_uint_eq(out[0], 1);
    ck_assert_uint_eq(out[1], 8 * 4096);
    ck_assert_uint_eq(out[5], 1); /* extended */
    ck_assert_uint_eq(give.count, 1);
    ck_assert_uint_eq(sels[give.start].size, 8 * 4096);
    ck_assert_uint_eq(sels[give.start].perms, FS_W);
    memset(image + sels[give.start].off, 'x', 5000);
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 5000}), SE_OK);
    ck_assert(!sels[give.start].used); /* closing takes them back */
    ck_assert_uint_eq(ask(1, "/f", NULL, 0, NULL), SE_OK);
    memcpy(&info, msg_get_bytes(&in, sizeof(info)), sizeof(info));
    ck_assert_uint_eq(info.size, 5000);
    ck_assert_uint_eq(open_file("/f", FS_R, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 512, 0, out), SE_OK); /* blocks are for writers */
    ck_assert_uint_eq(out[0], 1);
    ck_assert_uint_eq(out[1], 5000);
    ck_assert_uint_eq(out[5], 0);
    ck_assert_uint_eq(sels[give.start].perms, FS_R);
    ck_assert_uint_eq(image[sels[give.start].off + 4999], 'x');
    ck_assert_uint_eq(image[sels[give.start].off + 5000], 0);
    ck_assert_uint_eq(get_locs(fd, 4500, 1, 0, M3FS_BYTE_OFFSET, out), SE_OK);
    ck_assert_uint_eq(out[6], 4500);
    ck_assert_uint_eq(ask(3, NULL, NULL, 5, (uint64_t[]){fd, 0, FS_SEEK_END, 0, 0}), SE_OK);
    ck_assert_uint_eq(msg_get_u64(&in), 0);
    ck_assert_uint_eq(msg_get_u64(&in), 5000);
    ck_assert_uint_eq(msg_get_u64(&in), 5000);
}
END_TEST

START_TEST(new_blocks_are_zero)
{
    uint64_t out[7];
    uint32_t fd;

    memset(image + m.fs.data * 4096ull + 4096, 0xAA, IMAGE - (m.fs.data + 1) * 4096ull);
    ck_assert_uint_eq(get_gate(1), SE_OK);
    ck_assert_uint_eq(open_file("/f", FS_R | FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 1, 20, 0, out), SE_OK);
    for (uint64_t i = 0; i < 20 * 4096; i++)
        ck_assert_uint_eq(image[sels[give.start].off + i], 0);
}
END_TEST

/* Nobody keeps a capability for blocks that are somebody else's by now. */
START_TEST(cut_takes_away)
{
    uint64_t out[7];
    uint32_t fd, other;
    unsigned sel;

    ck_assert_uint_eq(get_gate(1), SE_OK);
    ck_assert_uint_eq(open_file("/f", FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 1, 4, 0, out), SE_OK);
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 16384}), SE_OK);
    ck_assert_uint_eq(open_file("/f", FS_R, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 0, 0, out), SE_OK);
    sel = give.start;
    ck_assert(sels[sel].used);
    ck_assert_uint_eq(open_file("/f", FS_W | FS_TRUNC, &other), SE_OK);
    ck_assert(!sels[sel].used);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 0, 0, out), SE_OK);
    ck_assert_uint_eq(out[0], 0);
}
END_TEST

START_TEST(bounded)
{
    uint64_t out[7];
    uint32_t fd = 0;
    char path[8];

    ck_assert_uint_eq(get_gate(1), SE_OK);
    for (unsigned i = 0; i < M3FS_FILES; i++) {
        snprintf(path, sizeof(path), "/%u", i);
        ck_assert_uint_eq(open_file(path, FS_W | FS_CREATE, &fd), SE_OK);
    }
    ck_assert_uint_eq(open_file("/0", FS_R, &fd), SE_NO_SPACE);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(get_locs(3, 0, 1, 1, 0, out), SE_OK);
        ck_assert_uint_le(live, 1 + M3FS_RANGES);
    }
    derives_left = 0;
    ck_assert_uint_eq(get_locs(3, 0, 1, 1, 0, out), SE_OUT_OF_MEM);
    derives_left = UINT32_MAX;
    ck_assert_uint_eq(get_locs(3, 0, 0, 1, 0, out), SE_INV_ARGS);
    ck_assert_uint_eq(get_locs(3, 0, 5, 1, 0, out), SE_INV_ARGS);
    ck_assert_uint_eq(get_locs(3, UINT64_MAX, 4, 1, 0, out), SE_OK);
    ck_assert_uint_eq(out[0], 0);
    ck_assert_uint_eq(get_locs(16, 0, 4, 1, 0, out), SE_INV_ARGS);
    ck_assert_uint_eq(get_locs(UINT32_MAX, 0, 4, 1, 0, out), SE_INV_ARGS);
    for (unsigned i = 1; i < M3FS_SESSIONS; i++)
        open_session();
    ck_assert_uint_eq(m3fs_open_session(&m, &in, &ident), SE_NO_SPACE);
}
END_TEST

/* Every length that is too short, and labels of sessions that are not. */
START_TEST(malformed)
{
    uint64_t words[8] = {0};
    uint8_t reply[64];
    struct msg_reader r;
    struct msg_writer w;

    for (unsigned op = 0; op < 10; op++)
        for (size_t n = 0; n < 16; n++) {
            words[0] = op;
            words[1] = op == 2 ? 99 : 8;
            memcpy(&words[2], "/no/way.", 8);
            ck_assert_uint_eq(ask_bytes(ident, words, n), SE_INV_ARGS);
        }
    words[0] = M3FS_STAT;
    words[1] = UINT64_MAX;
    ck_assert_uint_eq(ask_bytes(ident, words, sizeof(words)), SE_INV_ARGS);
    words[1] = 0;
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(ask_bytes(ident ^ 1ull << i, words, sizeof(words)), SE_INV_ARGS);
    ck_assert_uint_eq(ask_bytes(0, words, sizeof(words)), SE_INV_ARGS);
    ck_assert_uint_eq(ask_bytes(ident, words, sizeof(words)), SE_OK);
    msg_reader_init(&r, words, sizeof(words));
    msg_writer_init(&w, reply, sizeof(reply));
    ck_assert_uint_eq(m3fs_obtain(&m, ident ^ 256, 1, &r, &give, &w), SE_INV_ARGS);
    ck_assert_uint_eq(m3fs_obtain(&m, ident, 0, &r, &give, &w), SE_INV_ARGS);
}
END_TEST

/* What a closed session had open is closed, and its gate is gone; the next one is another one. */
START_TEST(closed_session)
{
    uint64_t old = ident, out[7];
    uint32_t fd;

    ck_assert_uint_eq(get_gate(1), SE_OK);
    ck_assert_uint_eq(open_file("/f", FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 4, 4, 0, out), SE_OK);
    ck_assert_uint_eq(ask(7, "/f", NULL, 0, NULL), SE_OK);
    m3fs_close_session(&m, ident);
    ck_assert_uint_eq(live, 0);
    ck_assert_uint_eq(m.fs.sb.free_inodes, 31); /* it had lost its name before */
    open_session();
    ck_assert_uint_ne(ident, old);
    ident = old;
    ck_assert_uint_eq(ask(2, NULL, NULL, 1, (uint64_t[]){fd}), SE_INV_ARGS);
}
END_TEST

static bool overlaps(unsigned a, unsigned b)
{
    return sels[a].off < sels[b].off + sels[b].size && sels[b].off < sels[a].off + sels[a].size;
}

/* A writer of four blocks that has closed its file after one, and may still write to all. */
static unsigned lingering(void)
{
    uint64_t out[7];
    uint32_t fd;

    ck_assert_uint_eq(get_gate(1), SE_OK);
    ck_assert_uint_eq(open_file("/f", FS_W | FS_CREATE, &fd), SE_OK);
    ck_assert_uint_eq(get_locs(fd, 0, 1, 4, 0, out), SE_OK);
    revokes_fail = 1;
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 100}), SE_OK);
    return give.start;
}

/* A new file, of as many blocks as there are: none of them is the lingering one's. */
static void fill_up(const char *path, unsigned sel)
{
    uint64_t out[7];
    uint32_t fd;

    ck_assert_uint_eq(open_file(path, FS_W | FS_CREATE, &fd), SE_OK);
    for (unsigned at = 0; get_locs(fd, at, 1, 1000, 0, out) == SE_OK && out[0]; at++)
        ck_assert(!overlaps(give.start, sel));
    ck_assert_uint_eq(m.fs.sb.free_blocks, 0);
}

/* What a REVOKE that failed was for is nobody else's until one has succeeded. */
START_TEST(kept_until_revoked)
{
    struct m3fs_info info;
    unsigned sel = lingering();
    uint32_t before, fd;

    before = m.fs.sb.free_blocks;
    ck_assert_uint_eq(m.nkept, 1);
    if (_i == 1) /* cutting it does not work, */
        ck_assert_uint_eq(open_file("/f", FS_W | FS_TRUNC, &fd), SE_MSGS_WAITING);
    if (_i == 2) /* and without a name it stays, too */
        ck_assert_uint_eq(ask(7, "/f", NULL, 0, NULL), SE_OK);
    ck_assert_uint_eq(m.fs.sb.free_blocks, before);
    fill_up("/g", sel);
    ck_assert_uint_ge(m.failed, 2);
    ck_assert(sels[sel].used);
    before = m.fs.sb.free_blocks;
    revokes_fail = 0;
    for (unsigned i = 0; i < M3FS_RANGES + 2; i++) /* each tries one */
        ask(1, "/f", NULL, 0, NULL);
    ck_assert(!sels[sel].used);
    ck_assert_uint_eq(m.nkept, 0);
    ck_assert_uint_eq(m.fs.sb.free_blocks, before + (_i == 2 ? 4 : 3));
    if (_i == 2)
        return;
    ck_assert_uint_eq(ask(1, "/f", NULL, 0, NULL), SE_OK);
    memcpy(&info, msg_get_bytes(&in, sizeof(info)), sizeof(info));
    ck_assert_uint_eq(info.size, 100);
}
END_TEST

/* More than can be noted: nothing is free again, and all ends well. */
START_TEST(too_many_kept)
{
    uint64_t out[7];
    uint32_t fd, before;

    lingering();
    ck_assert_uint_eq(open_file("/g", FS_R | FS_W | FS_CREATE, &fd), SE_OK);
    for (unsigned i = 0; i < M3FS_KEPT + 2 * M3FS_RANGES; i++)
        ck_assert_uint_eq(get_locs(fd, 0, 1, 1, 0, out), SE_OK);
    ck_assert(m.lost);
    before = m.fs.sb.free_blocks;
    ck_assert_uint_eq(ask(8, NULL, NULL, 3, (uint64_t[]){fd, 0, 0}), SE_OK);
    ck_assert_uint_eq(ask(7, "/g", NULL, 0, NULL), SE_OK);
    ck_assert_uint_eq(m.fs.sb.free_blocks, before);
    revokes_fail = 0;
    live = 0; /* with its VPE; those that it knows of are revoked one by one */
    m3fs_shutdown(&m);
    live = 0;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("m3fs");
    TCase *c = tcase_create("m3fs");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, layout);
    tcase_add_test(c, write_and_read);
    tcase_add_test(c, new_blocks_are_zero);
    tcase_add_test(c, cut_takes_away);
    tcase_add_test(c, bounded);
    tcase_add_test(c, malformed);
    tcase_add_test(c, closed_session);
    tcase_add_loop_test(c, kept_until_revoked, 0, 3);
    tcase_add_test(c, too_many_kept);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
