/* SPDX-License-Identifier: BSD-2-Clause */
/* What whoever started us handed over (child.h); our starter may be a program of the original. */
#include "child_impl.h"
#include "env.h"
#include "file_impl.h"

static void adopt_mounts(struct msg_reader *in)
{
    uint64_t n = msg_get_u64(in);
    struct mount m[MOUNT_MAX];

    memset(m, 0, sizeof(m));
    if (n > MOUNT_MAX)
        n = MOUNT_MAX;
    for (unsigned i = 0; i < n; i++) {
        msg_get_str(in, m[i].path, sizeof(m[i].path));
        if (msg_get_u8(in) != 'M') {
            n = i;
            break;
        }
        m[i].sess.sel = msg_get_u32(in);
        m[i].gate.sel = msg_get_u32(in);
    }
    if (in->error)
        return;
    if (msg_remaining(in) >= 8 && msg_get_u64(in) == CHILD_NAMES)
        for (unsigned i = 0; i < n && !in->error; i++)
            msg_get_str(in, m[i].service, sizeof(m[i].service));
    /* As they stand: files refer to them by number. */
    memcpy(mounts, m, sizeof(m));
    for (unsigned i = 0; i < n; i++)
        mounts[i].used = true;
}

static void adopt_reg(struct msg_reader *in, struct file *f)
{
    struct child_pos pos = {0};
    const uint8_t *p;
    uint64_t mount;

    f->reg.fd = msg_get_u32(in);
    f->flags = msg_get_u32(in);
    mount = msg_get_u64(in);
    msg_get_bool(in);
    f->reg.begin = msg_get_u64(in);
    p = msg_get_bytes(in, sizeof(pos));
    if (p)
        memcpy(&pos, p, sizeof(pos));
    f->reg.extent = pos.global;
    f->reg.extoff = pos.offset;
    f->reg.last_extent = msg_get_u16(in);
    f->reg.last_off = msg_get_u64(in);
    if (mount >= MOUNT_MAX || !mounts[mount].used)
        in->error = true;
    else
        f->reg.mount = &mounts[mount];
}

static void adopt_file(struct msg_reader *in, struct file *f)
{
    uint32_t sel;
    uint64_t size;

    if (f->type == FILE_REG) {
        adopt_reg(in, f);
    } else if (f->type == FILE_RPIPE || f->type == FILE_WPIPE) {
        sel = msg_get_u32(in);
        size = msg_get_u64(in);
        if (in->error)
            return;
        f->flags = f->type == FILE_RPIPE ? FILE_R : FILE_W;
        if (f->type == FILE_RPIPE)
            pipe_reader_init(&f->rpipe, sel, (unsigned)size);
        else
            pipe_writer_init(&f->wpipe, sel, size);
    } else if (f->type == FILE_SERIAL) {
        f->flags = FILE_RW;
    } else {
        in->error = true; /* a kind that we do not know, of unknown length */
    }
}

static void adopt_files(struct msg_reader *in)
{
    uint64_t n = msg_get_u64(in);

    for (unsigned i = 0; i < n && i < FILE_MAX && !in->error; i++) {
        uint32_t fd = msg_get_u32(in);
        struct file f = {.type = msg_get_u8(in)};

        adopt_file(in, &f);
        if (in->error || fd >= FILE_MAX)
            return;
        files[fd] = f;
        if (f.type == FILE_REG && (f.flags & FILE_APPEND) && f.reg.begin + f.reg.extoff == 0)
            regfile_seek(&files[fd], 0, FILE_END);
    }
}

void file_adopt(void)
{
    struct msg_reader in;

    if (env()->mounts_len) {
        msg_reader_init(&in, (const void *)(uintptr_t)env()->mounts, env()->mounts_len);
        adopt_mounts(&in);
    }
    if (env()->fds_len) {
        msg_reader_init(&in, (const void *)(uintptr_t)env()->fds, env()->fds_len);
        adopt_files(&in);
    }
}
