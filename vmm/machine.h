/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine description: everything the user can say about a machine, from the command line, an
 * INI file (machine_from_ini) or one of SemperOS' own boot/ *.cfg files (machine_from_cfg).  All
 * three fill the same structure; what came later overrides.  vmm/README.md documents the grammar.
 *
 * The order is: machine_defaults(), at most one machine_from_ini() or machine_from_cfg(), options,
 * at most one machine_from_bootline(), machine_validate().  After a successful machine_validate()
 * the structure is complete and consistent; the KVM part and the loader only read it.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "diag.h"
#include "seed.h"

#define MACHINE_MAX_PES     1022u /* core PEs 1..1022 (dtu-spec 7); PE 0 is the memory PE */
#define MACHINE_DEFAULT_PES 16u
#define MACHINE_SPM_MIN     (1ull << 20)
#define MACHINE_SPM_MAX     (1ull << 30)
#define MACHINE_DRAM_MAX    (1ull << 37)
#define MACHINE_MAX_FS      16u
#define MACHINE_MAX_NODES   16u
#define MACHINE_NO_PE       0xFFFFu
#define MACHINE_BRIDGE_SPM  (16ull << 20)

enum machine_log { LOG_ERROR = 0, LOG_WARN = 1, LOG_INFO = 2, LOG_DEBUG = 3 };
enum machine_when { WHEN_AUTO = 0, WHEN_ALWAYS = 1, WHEN_NEVER = 2 };
enum machine_report { REPORT_PAIRS = 1, REPORT_EXITS = 2 };

/* A file-system image; the images lie back to back from offset 0 of the memory PE. */
struct machine_fs {
    char *path;
    unsigned replicas; /* at least 1: copies, back to back */
    uint64_t size;     /* bytes of one copy; set by machine_validate() */
    int line;          /* where it was said, 0: command line */
};

/* `[pe N]` */
struct machine_pe {
    unsigned pe;
    uint64_t spm_size; /* 0: as the machine's */
    int line;
};

/* What can be said once; indexes machine.where. */
enum machine_key {
    KEY_PES,
    KEY_SPM,
    KEY_DRAM,
    KEY_IMAGES,
    KEY_BOOT,
    KEY_LOG,
    KEY_TIMEOUT,
    KEY_PREFIX,
    KEY_COLOR,
    KEY_REPORT,
    KEY_STATS,
    KEY_UNTIL_IDLE,
    KEY_RINGS,
    KEY_MAPPED,
    KEY_PCAP,
    KEY_LINK_KEY,
    KEY_LINK_PROGRAM,
    KEY_LINK_OPTIONS,
    KEY_NIC_PE,
    KEY_NIC_MAC,
    KEY_NIC_UDP,
    KEY_NIC_PEER,
    KEY_NIC_STREAM,
    KEY_NIC_IRQ,
    KEY_COUNT
};

/* What can be said once of a node; indexes machine_node.where. */
enum node_key {
    NODE_PES,
    NODE_BOOT,
    NODE_MEMORY,
    NODE_BRIDGE,
    NODE_LISTEN,
    NODE_AT,
    NODE_STREAM,
    NODE_MAC,
    NODE_ADDRESS,
    NODE_KEYS
};

/*
 * `[node K]`: one sempervm process of a machine of several.  PE numbers are the whole machine's.
 * machine_validate() fills in what was left to its default.
 */
struct machine_node {
    bool there;           /* the file has such a section */
    unsigned first, last; /* core PEs */
    unsigned memory;      /* the memory PE; MACHINE_NO_PE: none */
    unsigned bridge;
    char *boot;     /* the boot line; NULL: its PEs are idle and belong to node 0's kernel */
    char *listen;   /* "host:port" of its UDP socket */
    char *at;       /* "host:port" where the others send to */
    char *stream;   /* instead of UDP, between two nodes: as machine_nic.stream */
    uint8_t mac[6]; /* of its bridge's NIC */
    char ip4[16];   /* of its bridge */
    char ip6[46];   /* empty: none */
    int line;       /* of the section's head */
    int where[NODE_KEYS];
};

/* `[nic]`: an 82540EM in one PE of a machine of one node. */
struct machine_nic {
    bool on;
    unsigned pe;
    uint8_t mac[6];
    char *udp, *peer; /* "host:port": ours, the other's */
    char *stream;     /* "listen:" or "connect:" and "tcp:host:port" or "unix:PATH" */
    unsigned irq;     /* the PE is bare (bare.h), and this the input of its controllers; 0: no */
};

struct machine {
    unsigned pes;       /* core PEs, ids 1..pes; of a machine of several nodes see `node` */
    uint64_t spm_size;  /* bytes of local memory of a core PE, a multiple of 4 KiB */
    uint64_t dram_size; /* bytes of the memory PE, a multiple of 4 KiB */
    char *images;       /* folder of the programs, resolved by machine_validate() */
    struct machine_fs *fs;
    unsigned nfs;
    int argc;    /* arguments of PE 1's program; argv[0] is its bare file name */
    char **argv; /* argc strings and NULL */
    enum machine_log log_level;
    uint64_t timeout_ns;      /* 0: none */
    enum machine_when prefix; /* console lines start with their PE; auto: by number of PEs */
    enum machine_when color;  /* auto: when standard output is a terminal */
    unsigned report;          /* enum machine_report, or-ed: tables printed at the end */
    bool stats;
    bool until_idle; /* end with status 0 when every PE waits */
    bool no_rings;   /* PEs may not have channels without exits */
    bool mapped;     /* PEs may have targets of memory endpoints mapped */
    struct machine_pe *pe;
    unsigned npe;
    struct seed_opts seed; /* from the command line only */
    const char *control;   /* so is this: the path of the control socket, NULL: none */

    /* Several nodes; none: this is the only one. */
    struct machine_node node[MACHINE_MAX_NODES];
    unsigned nnodes;    /* the highest number and 1 */
    bool selected;      /* --node was given */
    unsigned self;      /* which of them this process is */
    char *link_key;     /* file with the key of the link; NULL: frames go as they are */
    char *link_program; /* of the bridge PEs */
    char *link_images;  /* its folder: the programs', or where ours are (machine_validate()) */
    char *link_options; /* one more argument of theirs; NULL: none */
    struct machine_nic nic;
    char *pcap; /* record frames there; NULL: do not */

    /* For messages: the file the description came from, and the line of each key (0: not there). */
    char *file;
    int where[KEY_COUNT];
    bool given[KEY_COUNT];
    bool wants_fs; /* a .cfg that runs m3fs: default.img of the image folder, unless given */
};

/* Defaults: 16 PEs, 8 MiB each, 8 GiB of DRAM, no boot line, images in guest/ next to this program.
 * -ENOMEM. */
int machine_defaults(struct machine *m);
void machine_free(struct machine *m);

/*
 * Read a description into a machine that has its defaults.  0, or -EINVAL with all that is wrong in
 * the list, or -ENOMEM.  The machine is to be freed in either case.
 */
int machine_from_ini(struct machine *m, const char *path, struct diag *d);
int machine_from_cfg(struct machine *m, const char *path, struct diag *d);
/* By the name: .cfg is SemperOS', everything else INI. */
int machine_from_file(struct machine *m, const char *path, struct diag *d);
/* The words after `--` on the command line; they replace the boot line of a file. */
int machine_from_bootline(struct machine *m, int argc, char *const argv[], struct diag *d);
/* INI text in memory, NUL-terminated, for the tests; NAME is what messages call it. */
int machine_from_text(struct machine *m, const char *name, const char *text, struct diag *d);

/* Set one value as the INI key would be, from an option NAME ("--pes"); LINE 0.  -EINVAL. */
int machine_set(struct machine *m, enum machine_key key, const char *value, const char *name,
                int line, struct diag *d);
/* One more image, "FILE[:replicas]". */
int machine_add_fs(struct machine *m, const char *value, const char *name, int line,
                   struct diag *d);
void machine_clear_fs(struct machine *m);

/*
 * Check the whole: sizes, boot line against the number of PEs, programs and images that must exist.
 * Resolves the image folder.  0, -EINVAL with every complaint in the list, -ENOMEM.
 */
int machine_validate(struct machine *m, struct diag *d);

/*
 * `sempervm check`: validate, then look into the programs.  Prints one line of summary to OUT, or
 * every complaint in the list, old ones included, to ERR.  Returns an exit status, 0 or 2.
 */
int machine_check(struct machine *m, struct diag *d, FILE *out, FILE *err);

/* Local memory of a core PE, in bytes. */
uint64_t machine_spm(const struct machine *m, unsigned pe);

/*
 * The PEs of this node: its memory PE (MACHINE_NO_PE: it has none), the first one, which gets the
 * boot line, and all core PEs by their place 0..machine_npes()-1, the bridge last.
 */
unsigned machine_mem_pe(const struct machine *m);
unsigned machine_first_pe(const struct machine *m);
unsigned machine_npes(const struct machine *m);
unsigned machine_pe(const struct machine *m, unsigned place);
/* The bridge PE of this node, or of a machine of one node the PE with a NIC; 0: there is none. */
unsigned machine_bridge(const struct machine *m);
unsigned machine_nic_pe(const struct machine *m);

/* Is that PE a core PE of this node's kernel, as KEnv tells it?  Node 0's kernel has those of nodes
 * without a boot line, too. */
bool machine_owns(const struct machine *m, unsigned pe);

/* ---- several nodes: nodes.c ---- */

/* Set one value of node K.  -EINVAL, -ENOMEM. */
int machine_node_set(struct machine *m, unsigned k, enum node_key key, const char *value, int line,
                     struct diag *d);
/* --node: a number, or "auto": what the launcher's environment says.  --peer K=HOST:PORT.
 * --listen.  --nic KEY=VALUE,...  -EINVAL, -ENOMEM. */
int machine_set_node(struct machine *m, const char *value, struct diag *d);
int machine_set_peer(struct machine *m, const char *value, struct diag *d);
int machine_set_listen(struct machine *m, const char *value, struct diag *d);
int machine_set_nic(struct machine *m, const char *value, struct diag *d);
/* The number that "auto" finds, -ENOENT if nothing says. */
int machine_node_auto(void);

/*
 * What must be the same on all nodes, besides the nodes themselves: boot lines, blanks apart, and
 * sizes of memories.  Of a validated machine; the command line counts.
 */
uint32_t machine_lines_hash(const struct machine *m);
uint32_t machine_sizes_hash(const struct machine *m);

/* This machine as node K sees it, with K's boot line.  For machine_validate().  -ENOMEM, -EINVAL.
 */
int machine_become(struct machine *m, unsigned k, struct diag *d);

/* True if PE 1 runs a kernel: then it gets KEnv and boot modules, and its arguments are groups. */
bool machine_has_kernel(const struct machine *m);

/*
 * The boot modules (semperos-platform 1): each program named in the boot line once, a kernel behind
 * its own programs, "idle" last; only "idle" without a kernel.  The names point into m->argv or are
 * constants.  Returns their number, or -E2BIG when there are more than MAX.
 */
int machine_modules(const struct machine *m, const char *name[], unsigned max);

#endif
