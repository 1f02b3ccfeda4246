/* SPDX-License-Identifier: BSD-2-Clause */
/* ls [FOLDER]: type and permissions, names, bytes and name of each entry. */
#include "file.h"
#include "fmt.h"
#include "print.h"
#include "start.h"

#define IS_DIR(mode) (((mode)&0160000u) == 0040000u)

static unsigned show(const char *folder, const char *name)
{
    char path[512];
    struct m3fs_info info;
    unsigned err;

    fmt_snprintf(path, sizeof(path), "%s/%s", folder, name);
    err = file_stat(path, &info);
    if (err)
        return err;
    file_print(FILE_OUT, "%c%c%c %3u %10lu %s\n", IS_DIR(info.mode) ? 'd' : '-',
               info.mode & 0400 ? 'r' : '-', info.mode & 0200 ? 'w' : '-', info.links,
               (unsigned long)info.size, name);
    return 0;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "/";
    struct file_dirent e;
    unsigned err = file_root();
    int fd = err ? -(int)err : file_open(folder, FILE_R);

    if (fd < 0) {
        print("ls: %s: error %d\n", folder, -fd);
        return 1;
    }
    while ((err = file_readdir(fd, &e)) == SE_OK && !err)
        err = show(folder, e.name);
    file_close(fd);
    if (err != SE_END_OF_FILE)
        print("ls: %s: error %u\n", folder, err);
    return err != SE_END_OF_FILE;
}
