/* SPDX-License-Identifier: BSD-2-Clause */
/* VPEs; see vpe.h. */
#include "vpe.h"

#include "boot.h"
#include "env.h"
#include "heap.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

extern char _start[], image_text[], image_text_end[], image_data[];

/* What the copy shall do; it finds this in its copy of our data. */
static struct {
    int (*fn)(void *);
    void *arg;
} child;

/* Only in programs that use files (file.h). */
extern void file_reset(void) __attribute__((weak));
extern void file_init(void) __attribute__((weak));

static int child_main(void *arg)
{
    (void)arg;
    gate_reset();
    if (file_reset && file_init) {
        file_reset();
        file_init();
    }
    return child.fn(child.arg);
}

unsigned vpe_create(struct vpe *v, const char *name)
{
    unsigned err;

    v->sel = sel_alloc(2);
    v->mem = (struct gate){.sel = v->sel + 1};
    v->desc = pe_desc(0, guest_mem_size(), PE_TYPE_SPM);
    err = sysc_createvpe(v->sel, v->sel + 1, name, &v->desc);
    if (err)
        sel_free(v->sel, 2);
    return err;
}

unsigned vpe_delegate(const struct vpe *v, unsigned own, unsigned theirs, unsigned count)
{
    return sysc_exchange(v->sel, cap_range(own, count), cap_range(theirs, count), false);
}

unsigned vpe_obtain(const struct vpe *v, unsigned own, unsigned theirs, unsigned count)
{
    return sysc_exchange(v->sel, cap_range(own, count), cap_range(theirs, count), true);
}

/* [from, to) to the same place there. */
static unsigned copy(struct vpe *v, const void *from, const void *to)
{
    return gate_write(&v->mem, from, (size_t)((uintptr_t)to - (uintptr_t)from), (uintptr_t)from);
}

/* The argument vector and its strings, which lie behind our environment (semperos-platform 1). */
static unsigned copy_arguments(struct vpe *v)
{
    const uint64_t *argv = (const uint64_t *)(uintptr_t)env()->argv;
    uint32_t argc = env()->argc;
    const char *last;

    if (argc == 0 || !argv)
        return SE_OK;
    last = (const char *)(uintptr_t)argv[argc - 1];
    return copy(v, argv, last + strlen(last) + 1);
}

/* The environment goes last but for coreid, which the kernel sets when it starts the VPE. */
static unsigned write_env(struct vpe *v, const struct boot_env *more)
{
    struct boot_env e = {
        .argc = env()->argc,
        .argv = env()->argv,
        .sp = START_STACK_TOP,
        .entry = (uintptr_t)_start,
        .lambda = (uintptr_t)child_main,
        .heapsize = env()->heapsize,
        .mounts_len = more->mounts_len,
        .mounts = more->mounts,
        .fds_len = more->fds_len,
        .fds = more->fds,
        .caps = more->caps,
        .eps = more->eps,
        .pe = v->desc,
    };

    return gate_write(&v->mem, &e, sizeof(e), PE_ENV_ADDR);
}

unsigned vpe_run(struct vpe *v, int (*fn)(void *), void *arg)
{
    static const struct boot_env none;

    return vpe_run_env(v, fn, arg, &none);
}

unsigned vpe_run_env(struct vpe *v, int (*fn)(void *), void *arg, const struct boot_env *more)
{
    unsigned err;

    child.fn = fn;
    child.arg = arg;
    print_flush();
    err = gate_activate(&v->mem); /* first, so that the copy is of one moment */
    if (!err)
        err = copy(v, image_text, image_text_end);
    if (!err)
        err = copy(v, image_data, heap_top());
    if (!err)
        err = copy_arguments(v);
    if (!err)
        err = write_env(v, more);
    gate_deactivate(&v->mem);
    return err ? err : sysc_start(v->sel);
}

unsigned vpe_wait(const struct vpe *v, int *status)
{
    return sysc_wait(v->sel, status);
}

unsigned vpe_destroy(struct vpe *v)
{
    unsigned err;

    gate_deactivate(&v->mem);
    err = sysc_revoke(cap_range(v->sel, 2), true);
    if (!err)
        sel_free(v->sel, 2);
    return err;
}
