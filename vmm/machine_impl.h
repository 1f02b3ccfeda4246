/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the machine description share with each other and with nobody else.
 */
#ifndef VMM_MACHINE_IMPL_H
#define VMM_MACHINE_IMPL_H

#include "machine.h"

/* "8M", "8MiB", "8388608", "0x800000".  -EINVAL. */
int machine_parse_size(const char *s, uint64_t *out);

/* VALUE, relative to the folder of the description when LINE is not 0; replaces *OUT, which is the
 * caller's to free.  -ENOMEM. */
int machine_path(const struct machine *m, const char *value, int line, char **out);

/* Read a whole file into a NUL-terminated buffer of the caller's.  -errno; -EFBIG above MAX. */
int read_whole(const char *path, size_t max, char **out, size_t *size);

/*
 * The folder that holds PROGRAM, from what the user called the image folder: the folder itself, its
 * bin/, or build/ * /bin below (release first).  NULL when there is none; the caller frees it.
 */
char *images_find(const char *folder, const char *program);

/* "aa:bb:cc:dd:ee:ff", no group address.  -EINVAL. */
int machine_parse_mac(const char *s, uint8_t mac[6]);

/* Is it "host:port" or "[v6 address]:port", by its looks? */
bool machine_is_address(const char *s);

/* Is it "listen:" or "connect:" and "tcp:host:port" or "unix:PATH"? */
bool machine_is_stream(const char *s);

/* Defaults of all nodes, and what is wrong with them. */
void nodes_check(struct machine *m, struct diag *d);
void nic_check(const struct machine *m, struct diag *d);
void nodes_free(struct machine *m);

#endif
