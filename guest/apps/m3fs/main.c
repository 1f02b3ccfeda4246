/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * m3fs SIZE [OFFSET [NAME]]: the file system in SIZE bytes of the memory PE from OFFSET on, as a
 * service of that name (m3fs).
 */
#include "fmt.h"
#include "heap.h"
#include "m3fs.h"
#include "print.h"
#include "server.h"
#include "start.h"
#include "syscall.h"

#define CACHE_BLOCKS 256u

static struct m3fs m3fs;
static struct server srv;
static struct gate image;

static unsigned image_read(void *ctx, void *buf, size_t n, uint64_t off)
{
    return gate_read(ctx, buf, n, off);
}

static unsigned image_write(void *ctx, const void *buf, size_t n, uint64_t off)
{
    return gate_write(ctx, buf, n, off);
}

static unsigned make_gate(void *arg, uint64_t label, unsigned *sel)
{
    return server_gate(arg, label, sel);
}

static unsigned select(void *arg, unsigned count)
{
    (void)arg;
    return sel_alloc(count);
}

static unsigned derive(void *arg, unsigned sel, uint64_t off, uint64_t size, unsigned perms)
{
    (void)arg;
    return sysc_derivemem(image.sel, sel, off, size, perms);
}

static unsigned revoke(void *arg, unsigned start, unsigned count)
{
    unsigned err = sysc_revoke(cap_range(start, count), true);

    (void)arg;
    if (err && err != SE_INV_ARGS) /* that: there is nothing */
        return err;
    sel_free(start, count);
    return SE_OK;
}

static const struct server_ops ops = {.open = m3fs_open_session,
                                      .obtain = m3fs_obtain,
                                      .close = m3fs_close_session,
                                      .shutdown = m3fs_shutdown,
                                      .message = m3fs_message};

static void mount(uint64_t size, uint64_t offset, const char *name)
{
    struct fs_dev dev = {image_read, image_write, &image, size};
    void *cache = heap_alloc(FS_CACHE_SIZE(CACHE_BLOCKS));
    unsigned err;

    image.sel = sel_alloc(1);
    err = sysc_reqmem(image.sel, offset, msg_pad(size), FS_R | FS_W | FS_X);
    if (err || !cache)
        panic("%s: no memory for an image of %lu bytes at %lu: error %u", name, size, offset, err);
    err = fs_mount(&m3fs.fs, &dev, cache, CACHE_BLOCKS);
    if (err)
        panic("%s: no file system in %lu bytes at %lu: error %u; was it loaded with --fs?", name,
              size, offset, err);
}

int main(int argc, char **argv)
{
    static const struct m3fs_caps caps = {make_gate, select, derive, revoke, &srv};
    const char *name = argc > 3 ? argv[3] : "m3fs";
    unsigned long size = 0, offset = 0;
    unsigned err;

    if (argc < 2 || argc > 4 || !fmt_parse(argv[1], &size) || size == 0 || size % 8 ||
        (argc > 2 && !fmt_parse(argv[2], &offset)))
        panic("usage: m3fs SIZE [OFFSET [NAME]], SIZE a multiple of 8 bytes");
    mount(size, offset, name);
    m3fs_init(&m3fs, &caps);
    err = server_create(&srv, name, &ops, &m3fs);
    if (err)
        panic("%s cannot be registered: error %u", name, err);
    server_run(&srv);
    if (m3fs.nkept > 0)
        print("%s: %u ranges of blocks could not be revoked, in %lu tries\n", name, m3fs.nkept,
              (unsigned long)m3fs.failed);
    return server_destroy(&srv) ? 1 : 0;
}
