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
    KEY_COUNT
};

struct machine {
    unsigned pes;       /* core PEs, ids 1..pes */
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
    bool rings;      /* PEs may have channels without exits */
    struct machine_pe *pe;
    unsigned npe;
    struct seed_opts seed; /* from the command line only */

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

/* Local memory of core PE 1..pes, in bytes. */
uint64_t machine_spm(const struct machine *m, unsigned pe);

/* True if PE 1 runs a kernel: then it gets KEnv and boot modules, and its arguments are groups. */
bool machine_has_kernel(const struct machine *m);

/*
 * The boot modules (semperos-platform 1): each program named in the boot line once, a kernel behind
 * its own programs, "idle" last; only "idle" without a kernel.  The names point into m->argv or are
 * constants.  Returns their number, or -E2BIG when there are more than MAX.
 */
int machine_modules(const struct machine *m, const char *name[], unsigned max);

#endif
