/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A range of host addresses in which pages of memfds come and go: what a PE's window for mapped
 * memory gates is backed by.  KVM follows by itself, no memory slot changes (kvm-notes.md).
 *
 * Offsets and lengths are multiples of 4096 inside the range; the caller checks and serialises.
 */
#ifndef VMM_MAPWIN_H
#define VMM_MAPWIN_H

#include <stdbool.h>
#include <stdint.h>

struct mapwin {
    uint8_t *at; /* NULL: there is none */
    uint64_t size;
};

/* Nothing is there: any access fails.  0 or -errno. */
int mapwin_open(struct mapwin *w, uint64_t size);
void mapwin_close(struct mapwin *w);

/* [off, off + len) of the memfd is at `at`, to be read or also written.  0; -errno: as before. */
int mapwin_show(struct mapwin *w, uint64_t at, int fd, uint64_t off, uint64_t len, bool writable);

/*
 * What was there is not any more: zeros that are the window's own, or nothing.  When they return no
 * CPU that uses the range, a guest's neither, reaches what was there.  0, or -errno: the host lets
 * neither happen, so the PE must not run any more.
 */
int mapwin_cut(struct mapwin *w, uint64_t at, uint64_t len);
int mapwin_clear(struct mapwin *w, uint64_t at, uint64_t len);

#endif
