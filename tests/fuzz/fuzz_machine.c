/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/diag.c vmm/elf.c vmm/bootline.c vmm/machine.c vmm/images.c vmm/ini.c vmm/cfg.c */
/* LINK: vmm/nodes.c vmm/nodes_check.c vmm/validate.c vmm/loader.c vmm/loader_pe.c */
/*
 * Machine files of any content.  The reader either accepts or says why; what it accepts and what
 * machine_validate() lets pass is within the documented bounds.  A first byte of `!` makes the rest
 * a boot line behind `--`.  The image folder does not exist, so no input finds a program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/boot.h"
#include "../../vmm/bootline.h"
#include "../../vmm/machine.h"
#include "../../vmm/machine_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS 512

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

static int from_words(struct machine *m, char *text, struct diag *d)
{
    char *argv[WORDS], *save = NULL;
    int n = 0;

    for (char *w = strtok_r(text, " ", &save); w && n < WORDS; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    return machine_from_bootline(m, n, argv, d);
}

/* The description minus programs and images, which are not there. */
static void check(struct machine *m, struct diag *d)
{
    const char *name[BOOT_MODULES];
    struct boot_needs needs;
    size_t before = diag_count(d);
    int n = machine_modules(m, name, BOOT_MODULES);

    must(n == -E2BIG || (n >= 1 && n <= (int)BOOT_MODULES && strcmp(name[n - 1], "idle") == 0));
    bootline_check(m, &needs, d);
    if (diag_count(d) == before) {
        must(m->argc >= 1 && m->argv[m->argc] == NULL);
        must(bootline_bytes(m) <= PE_RT_SIZE);
        must(needs.pes >= 1 && needs.kernels >= 1);
    }
    must(m->nnodes <= MACHINE_MAX_NODES);
    for (unsigned k = 0; k < m->nnodes; k++) {
        const struct machine_node *v = &m->node[k];

        must(v->first <= v->last && v->last <= MACHINE_MAX_PES && v->bridge <= MACHINE_MAX_PES);
        must(!v->listen || machine_is_address(v->listen));
        must(!v->at || machine_is_address(v->at));
        must(!v->stream || machine_is_stream(v->stream));
        must((v->mac[0] & 1) == 0);
    }
    must(m->pes >= 1 && m->pes <= MACHINE_MAX_PES && m->nfs <= MACHINE_MAX_FS);
    must(m->npe <= MACHINE_MAX_PES);
    for (unsigned i = 0; i < m->npe; i++)
        must(m->pe[i].pe >= 1 && m->pe[i].pe <= MACHINE_MAX_PES);
    for (unsigned i = 0; i < m->nfs; i++)
        must(m->fs[i].replicas >= 1 && m->fs[i].path[0] != 0);
    must(machine_validate(m, d) == -EINVAL && diag_count(d) > 0);
}

static void check_texts(const struct diag *d)
{
    for (size_t i = 0; i < d->n; i++)
        for (const char *p = d->v[i].text; *p; p++)
            must((unsigned char)*p >= 0x20 && *p != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct diag d = {0};
    struct machine m;
    int r;

    must(text != NULL && machine_defaults(&m) == 0);
    if (text[0] == '!')
        r = from_words(&m, text + 1, &d);
    else
        r = machine_from_text(&m, "fuzz/m.ini", text, &d);
    must(r == 0 ? diag_count(&d) == 0 : r == -EINVAL && diag_count(&d) > 0);
    must(machine_set(&m, KEY_IMAGES, "/nonexistent", "--images", 0, &d) == 0);
    check(&m, &d);
    check_texts(&d);
    diag_free(&d);
    machine_free(&m);
    free(text);
    return 0;
}
