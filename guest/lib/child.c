/* SPDX-License-Identifier: BSD-2-Clause */
/* Children with mounts and files; see child.h. */
#include "child.h"

#include "boot.h"
#include "child_impl.h"
#include "file_impl.h"
#include "heap.h"
#include "start.h"
#include "syscall.h"

#define PIPE_SIZE 65536u

_Static_assert(sizeof(((struct child *)0)->sess) == MOUNT_MAX * sizeof(unsigned), "mounts");

/* A session for the child with a mount's service; where that has no name, ours. */
static unsigned give_mount(struct child *c, const struct mount *m, unsigned i)
{
    unsigned sess = m->sess.sel, gate = m->gate.sel, err = SE_OK;
    struct session s;

    if (m->service[0]) {
        err = session_open(&s, m->service, NULL, 0);
        if (err)
            return err;
        sess = s.sel;
        c->own[i] = sess;
        gate = c->own_gate[i] = sel_alloc(1);
        err = session_obtain(&s, gate, 1, NULL);
    }
    c->sess[i] = c->sels;
    c->sels += 2;
    if (!err)
        err = vpe_delegate(&c->vpe, sess, c->sess[i], 1);
    if (!err)
        err = vpe_delegate(&c->vpe, gate, c->sess[i] + 1, 1);
    return err;
}

unsigned child_create(struct child *c, const char *name)
{
    unsigned err;

    file_init();
    memset(c, 0, sizeof(*c));
    err = vpe_create(&c->vpe, name);
    if (err)
        return err;
    c->sels = SEL_GIVEN;
    c->eps = VPE_EP_FREE;
    for (unsigned i = 0; i < MOUNT_MAX && mounts[i].used && !err; i++)
        err = give_mount(c, &mounts[i], i);
    if (err)
        child_destroy(c);
    return err;
}

/* The file is opened in the child's name, through the gate of its session. */
unsigned child_file(struct child *c, unsigned fd, const char *path, unsigned flags)
{
    const char *rest;
    struct mount *m = mount_resolve(path, &rest), theirs;
    uint32_t no = 0;
    unsigned err, i;

    if (!m || fd >= CHILD_FILES)
        return SE_NO_SUCH_FILE;
    i = (unsigned)(m - mounts);
    theirs = *m;
    if (c->own_gate[i])
        theirs.gate = (struct gate){.sel = c->own_gate[i]};
    err = mount_open(&theirs, rest, flags, &no);
    gate_deactivate(&theirs.gate);
    if (!err)
        c->file[fd] = (struct child_file){.type = FILE_REG, .flags = flags, .fd = no, .mount = i};
    return err;
}

unsigned child_pipe(struct child_pipe *p, struct child *wr, unsigned wfd, struct child *rd,
                    unsigned rfd)
{
    unsigned ep = rd->eps, err;

    if (wfd >= CHILD_FILES || rfd >= CHILD_FILES || ep >= DTU_EPS)
        return SE_INV_ARGS;
    p->sel = sel_alloc(2);
    err = sysc_reqmem(p->sel, SYSC_MEM_ANY, PIPE_SIZE, DTU_PERM_RW);
    if (!err)
        err = sysc_creategate(rd->vpe.sel, p->sel + 1, 0, ep, 1u << PIPE_ORDER);
    if (!err)
        err = vpe_delegate(&wr->vpe, p->sel, wr->sels, 2);
    if (!err)
        err = vpe_delegate(&rd->vpe, p->sel, rd->sels, 1);
    if (err) {
        child_pipe_free(p);
        return err;
    }
    wr->file[wfd] = (struct child_file){
        .type = FILE_WPIPE, .flags = FILE_W, .sel = wr->sels, .size = PIPE_SIZE};
    rd->file[rfd] =
        (struct child_file){.type = FILE_RPIPE, .flags = FILE_R, .sel = rd->sels, .size = ep};
    wr->sels += 2;
    rd->sels += 1;
    rd->eps++;
    return SE_OK;
}

/*
 * When the writer has said so itself, this is a message too many, which nobody reads.  The reader
 * may have ended, too.
 */
void child_pipe_end(struct child_pipe *p)
{
    static const uint64_t end[2];
    struct gate g = {.sel = p->sel + 1};

    gate_send(&g, end, sizeof(end), DTU_NO_REPLY, 0);
    gate_deactivate(&g);
}

void child_pipe_free(struct child_pipe *p)
{
    /* One by one: the gate has gone with the reader. */
    sysc_revoke(cap_range(p->sel + 1, 1), true);
    sysc_revoke(cap_range(p->sel, 1), true);
    sel_free(p->sel, 2);
}

unsigned child_run(struct child *c, int (*fn)(void *), void *arg)
{
    struct boot_env e = {0};
    unsigned err = child_state(c, &e);

    return err ? err : vpe_run_env(&c->vpe, fn, arg, &e);
}

unsigned child_wait(struct child *c, int *status)
{
    return vpe_wait(&c->vpe, status);
}

void child_destroy(struct child *c)
{
    vpe_destroy(&c->vpe);
    for (unsigned i = 0; i < MOUNT_MAX; i++) {
        if (c->own_gate[i]) {
            sysc_revoke(cap_range(c->own_gate[i], 1), true);
            sel_free(c->own_gate[i], 1);
        }
        if (c->own[i])
            session_close(&(struct session){.sel = c->own[i]});
    }
}
