/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap() with MAP_FIXED replaces what is mapped in one step, so that at no time the range has a
 * hole that another mmap() of the process could take.
 */
#include "mapwin.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define NOTHING (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

int mapwin_open(struct mapwin *w, uint64_t size)
{
    void *p = mmap(NULL, size, PROT_NONE, NOTHING, -1, 0);

    if (p == MAP_FAILED)
        return -errno;
    *w = (struct mapwin){p, size};
    return 0;
}

void mapwin_close(struct mapwin *w)
{
    if (w->at)
        munmap(w->at, w->size);
    *w = (struct mapwin){NULL, 0};
}

static int replace(struct mapwin *w, uint64_t at, uint64_t len, int prot, int flags, int fd,
                   uint64_t off)
{
    return mmap(w->at + at, len, prot, flags | MAP_FIXED, fd, (off_t)off) == MAP_FAILED ? -errno
                                                                                        : 0;
}

int mapwin_show(struct mapwin *w, uint64_t at, int fd, uint64_t off, uint64_t len, bool writable)
{
    return replace(w, at, len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, off);
}

/*
 * The process may have as many mappings as the host allows, and what lies to both sides may be one
 * with this.  Then all of the window goes, which splits nothing: that its PE faults is better than
 * that it goes on, and better than the end of the node.
 */
static int take_away(struct mapwin *w, uint64_t at, uint64_t len, int prot)
{
    if (replace(w, at, len, prot, NOTHING, -1, 0) == 0 || mprotect(w->at + at, len, PROT_NONE) == 0)
        return 0;
    return replace(w, 0, w->size, PROT_NONE, NOTHING, -1, 0);
}

int mapwin_cut(struct mapwin *w, uint64_t at, uint64_t len)
{
    return take_away(w, at, len, PROT_READ | PROT_WRITE);
}

int mapwin_clear(struct mapwin *w, uint64_t at, uint64_t len)
{
    return take_away(w, at, len, PROT_NONE);
}
