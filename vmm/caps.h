/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capabilities of a machine's kernels, put together from what each of them tells
 * (include/capdump.h).  What they tell is untrusted: nothing is used before it was checked.
 */
#ifndef VMM_CAPS_H
#define VMM_CAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What the control socket answers: a head, and so many times a part and its bytes behind it. */
#define CAPS_REQUEST    "svmcaps?"
#define CAPS_MAGIC      "SVMCAPS1"
#define CAPS_ANSWER_MAX (8u << 20) /* bytes of one kernel: 131,072 records */
struct caps_head {
    char magic[8];
    uint32_t parts;
    uint32_t node;
    uint64_t question;
};
enum caps_status { CAPS_WHOLE = 0, CAPS_SILENT = 1, CAPS_CUT = 2, CAPS_STATUS_COUNT };
struct caps_part {
    uint16_t pe;
    uint16_t status; /* enum caps_status */
    uint32_t zero;
    uint64_t len;
};

#define CAPS_NONE UINT32_MAX

struct caps_cap {
    uint64_t key, parent_key, addr, size;
    uint32_t kernel, vpe;         /* places in the lists below */
    uint32_t parent, child, next; /* places, or CAPS_NONE; the first child and its siblings */
    uint32_t strangers;           /* first of its children that nobody has shown */
    uint16_t pe, sel, to_pe, to_vpe;
    uint8_t type, perms, ep; /* as in capdump.h */
    bool orphan;             /* what it was derived from is in no table that we saw */
    bool reached;            /* from a root */
    char service[17];
};

/* A child that a kernel says another one has. */
struct caps_child {
    uint64_t key;
    uint32_t cap;
    uint32_t next; /* stranger of the same capability */
};

struct caps_vpe {
    char name[33];
    uint32_t kernel, ncaps;
    int32_t exitcode;
    uint16_t pe;
    uint8_t state; /* enum capdump_state */
};

struct caps_kernel {
    uint32_t id, nvpes, ncaps;
    uint64_t revocations; /* that wait for others */
    uint16_t pe;
};

/* All zero: empty. */
struct caps {
    struct caps_kernel *kernel;
    struct caps_vpe *vpe;
    struct caps_cap *cap;
    struct caps_child *kid;
    uint32_t nkernels, nvpes, ncaps, nchildren;
    uint32_t *order; /* capabilities by key */
    uint32_t orphans, strangers, doubles, circles;
};

/*
 * Adds what the kernel on PE `pe` told in answer to `question`.  0; -EINVAL with one line in err,
 * and then nothing was added; -ENOMEM likewise.
 */
int caps_add(struct caps *c, unsigned pe, uint64_t question, const void *data, size_t len,
             char *err, size_t errsize);

/* Once, behind the last caps_add(): who was derived from whom.  0 or -ENOMEM. */
int caps_link(struct caps *c);

void caps_free(struct caps *c);

/* As text; as a graph for Graphviz' dot.  Behind caps_link(). */
void caps_print_text(const struct caps *c, FILE *out);
void caps_print_dot(const struct caps *c, FILE *out);

/* sempervm caps [--dot] SOCKET; its exit status. */
int caps_command(int argc, char **argv);

#endif
