/* SPDX-License-Identifier: BSD-2-Clause */
/* Mounts: sessions with file systems, and requests to them. */
#include "file_impl.h"

#define RETRY_NS 100000u /* the service's slots are full */

struct mount mounts[MOUNT_MAX];

static uint8_t request[M3FS_MSG_MAX];
static struct recv_gate answers;
static const struct dtu_header *answer;

/* Bytes of path that belong to the mount point; 0: it is none of its. */
static size_t covers(const struct mount *m, const char *path)
{
    size_t n = strlen(m->path);

    while (n > 0 && m->path[n - 1] == '/')
        n--;
    if (strncmp(m->path, path, n) != 0 || (path[n] != '/' && path[n] != 0))
        return 0;
    return n + 1;
}

struct mount *mount_resolve(const char *path, const char **rest)
{
    file_init();
    if (path[0] != '/')
        return NULL;
    for (unsigned i = 0; i < MOUNT_MAX && mounts[i].used; i++) {
        size_t n = covers(&mounts[i], path);

        if (n > 0) {
            *rest = path + n - (path[n - 1] == 0);
            return &mounts[i];
        }
    }
    return NULL;
}

unsigned mount_add(const struct mount *m)
{
    unsigned at = 0, end = 0;

    while (end < MOUNT_MAX && mounts[end].used) {
        if (strcmp(mounts[end].path, m->path) == 0)
            return SE_EXISTS;
        if (strlen(mounts[end].path) >= strlen(m->path))
            at = end + 1;
        end++;
    }
    if (end == MOUNT_MAX)
        return SE_NO_SPACE;
    memmove(&mounts[at + 1], &mounts[at], (end - at) * sizeof(mounts[0]));
    mounts[at] = *m;
    mounts[at].used = true;
    return SE_OK;
}

static bool fits(const char *s)
{
    return strnlen(s, MOUNT_PATH) < MOUNT_PATH;
}

unsigned file_mount(const char *path, const char *service)
{
    struct mount m = {0};
    unsigned err;

    file_init();
    if (path[0] != '/' || !fits(path) || !fits(service))
        return SE_INV_ARGS;
    memcpy(m.path, path, strlen(path));
    memcpy(m.service, service, strlen(service));
    err = session_open(&m.sess, service, NULL, 0);
    if (err)
        return err;
    m.gate.sel = sel_alloc(1);
    err = session_obtain(&m.sess, m.gate.sel, 1, NULL);
    if (!err)
        err = mount_add(&m);
    if (err) {
        sel_free(m.gate.sel, 1);
        session_close(&m.sess);
    }
    return err;
}

unsigned file_root(void)
{
    file_init();
    return mounts[0].used ? SE_OK : file_mount("/", "m3fs");
}

unsigned file_unmount(const char *path)
{
    unsigned i = 0;

    file_init();
    while (i < MOUNT_MAX && (!mounts[i].used || strcmp(mounts[i].path, path) != 0))
        i++;
    if (i == MOUNT_MAX)
        return SE_NO_SUCH_FILE;
    for (unsigned j = 0; j < FILE_MAX; j++)
        if (files[j].type == FILE_REG)
            return SE_NOT_SUP; /* files know their mount by its place */
    gate_deactivate(&mounts[i].gate);
    sysc_revoke(cap_range(mounts[i].gate.sel, 1), true);
    session_close(&mounts[i].sess);
    memmove(&mounts[i], &mounts[i + 1], (MOUNT_MAX - 1 - i) * sizeof(mounts[0]));
    mounts[MOUNT_MAX - 1].used = false;
    return SE_OK;
}

/* ---- requests ---- */

void mount_forget(void)
{
    answers = (struct recv_gate){0};
}

struct msg_writer mount_request(enum m3fs_op op)
{
    struct msg_writer w;

    msg_writer_init(&w, request, sizeof(request) - sizeof(struct dtu_header));
    msg_put(&w, op);
    return w;
}

/* A service has one slot for 31 clients at a time; whoever comes later tries again. */
static unsigned send(struct mount *m, const struct msg_writer *w)
{
    unsigned err;

    while ((err = gate_send(&m->gate, w->buf, w->len, answers.ep, 0)) == SE_NO_RING_SPACE)
        dtu_relax(RETRY_NS);
    return err;
}

unsigned mount_call(struct mount *m, struct msg_writer *w, struct msg_reader *in)
{
    unsigned err = SE_OK;

    if (w->error)
        return SE_INV_ARGS;
    if (!answers.ep)
        err = recv_gate_create(&answers, 9, 8);
    if (!err)
        err = send(m, w);
    if (err)
        return err;
    answer = recv_gate_wait(&answers);
    if (!answer)
        return SE_RECV_GONE;
    msg_reader_init(in, dtu_payload(answer), answer->length);
    err = msg_get_u32(in);
    if (in->error)
        err = SE_INV_ARGS;
    if (err)
        mount_done();
    return err;
}

void mount_done(void)
{
    dtu_ack(answers.ep, answer);
}

unsigned mount_open(struct mount *m, const char *path, unsigned flags, uint32_t *fd)
{
    struct msg_writer w = mount_request(M3FS_OPEN);
    struct msg_reader in;
    unsigned err;

    msg_put_str(&w, path, strnlen(path, sizeof(request)));
    msg_put(&w, flags);
    err = mount_call(m, &w, &in);
    if (err)
        return err;
    *fd = msg_get_u32(&in);
    if (in.error)
        err = SE_INV_ARGS;
    mount_done();
    return err;
}

/* A request with paths of one mount; value: one more argument, NULL: none. */
static unsigned path_call(enum m3fs_op op, const char *path, const char *second,
                          const unsigned *value, unsigned elsewhere)
{
    struct msg_writer w = mount_request(op);
    const char *rest, *rest2 = NULL;
    struct mount *m = mount_resolve(path, &rest);
    struct msg_reader in;
    unsigned err;

    if (!m || (second && !mount_resolve(second, &rest2)))
        return SE_NO_SUCH_FILE;
    if (second && mount_resolve(second, &rest2) != m)
        return elsewhere;
    msg_put_str(&w, rest, strnlen(rest, sizeof(request)));
    if (second)
        msg_put_str(&w, rest2, strnlen(rest2, sizeof(request)));
    if (value)
        msg_put(&w, *value);
    err = mount_call(m, &w, &in);
    if (!err)
        mount_done();
    return err;
}

unsigned file_mkdir(const char *path, unsigned mode)
{
    return path_call(M3FS_MKDIR, path, NULL, &mode, 0);
}

unsigned file_rmdir(const char *path)
{
    return path_call(M3FS_RMDIR, path, NULL, NULL, 0);
}

unsigned file_link(const char *from, const char *to)
{
    return path_call(M3FS_LINK, from, to, NULL, SE_XFS_LINK);
}

unsigned file_unlink(const char *path)
{
    return path_call(M3FS_UNLINK, path, NULL, NULL, 0);
}

unsigned file_rename(const char *from, const char *to)
{
    return path_call(M3FS_RENAME, from, to, NULL, SE_XFS_RENAME);
}

unsigned file_stat(const char *path, struct m3fs_info *info)
{
    struct msg_writer w = mount_request(M3FS_STAT);
    const char *rest;
    struct mount *m = mount_resolve(path, &rest);
    struct msg_reader in;
    const uint8_t *p;
    unsigned err;

    if (!m)
        return SE_NO_SUCH_FILE;
    msg_put_str(&w, rest, strnlen(rest, sizeof(request)));
    err = mount_call(m, &w, &in);
    if (err)
        return err;
    p = msg_get_bytes(&in, sizeof(*info));
    if (p)
        memcpy(info, p, sizeof(*info));
    mount_done();
    return p ? SE_OK : SE_INV_ARGS;
}
