/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filetest [SERVICE]: a file system through the library, a line for each thing that is tested.  It
 * works in a folder of its own, which it removes.
 */
#include "child.h"
#include "print.h"
#include "session.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define DIR "/filetest"

static unsigned passed, failed;

static void want(const char *what, long got, long expected)
{
    bool ok = got == expected;

    passed += ok;
    failed += !ok;
    if (ok)
        print("ok   %s\n", what);
    else
        print("FAIL %s: %ld, not %ld\n", what, got, expected);
}

static uint8_t buf[70000];

static uint8_t at(unsigned long i, unsigned seed)
{
    return (uint8_t)(i * 31 + i / 257 + seed);
}

/* Writes bytes [from, from + n) of a pattern at the position. */
static long write_pattern(int fd, unsigned long from, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        buf[i] = at(from + i, seed);
    return file_write(fd, buf, n);
}

/* Bytes from the position on that are the pattern's. */
static long read_pattern(int fd, unsigned long from, size_t n, unsigned seed)
{
    long got = file_read(fd, buf, n);

    for (long i = 0; i < got; i++)
        if (buf[i] != at(from + (unsigned long)i, seed))
            return i;
    return got;
}

static long size_of(const char *path)
{
    struct m3fs_info info;
    unsigned err = file_stat(path, &info);

    return err ? -(long)err : (long)info.size;
}

static void test_write_read(void)
{
    int fd = file_open(DIR "/a", FILE_RW | FILE_CREATE);

    want("create a file", fd >= 0, 1);
    want("it is empty", file_read(fd, buf, 10), 0);
    want("write 65,536 bytes", write_pattern(fd, 0, 65536, 1), 65536);
    want("and 1,001 more", write_pattern(fd, 65536, 1001, 1), 1001);
    want("nothing behind them", file_read(fd, buf, 10), 0);
    want("seek to byte 5", file_seek(fd, 5, FILE_SET), 5);
    want("read from there", read_pattern(fd, 5, 60000, 1), 60000);
    want("the rest", read_pattern(fd, 60005, 60000, 1), 66537 - 60005);
    want("close it", file_close(fd), SE_OK);
    want("its size is what was written", size_of(DIR "/a"), 66537);
    fd = file_open(DIR "/a", FILE_R);
    want("open it for reading", fd >= 0, 1);
    want("read it all", read_pattern(fd, 0, 70000, 1), 66537);
    want("writing is refused", file_write(fd, buf, 1), -SE_NO_PERM);
    want("seek from the end", file_seek(fd, -37, FILE_END), 66500);
    want("read the last bytes", read_pattern(fd, 66500, 100, 1), 37);
    want("seek before the beginning", file_seek(fd, -1, FILE_SET), -SE_INV_ARGS);
    file_close(fd);
    want("a descriptor that is closed", file_read(fd, buf, 1), -SE_INV_ARGS);
}

static void test_overwrite(void)
{
    int fd = file_open(DIR "/a", FILE_RW);

    file_seek(fd, 4090, FILE_SET);
    want("overwrite across a block's end", write_pattern(fd, 4090, 20, 2), 20);
    file_seek(fd, 4090, FILE_SET);
    want("read what is new", read_pattern(fd, 4090, 20, 2), 20);
    want("and the old behind it", read_pattern(fd, 4110, 1000, 1), 1000);
    file_close(fd);
    want("the size stays", size_of(DIR "/a"), 66537);
    fd = file_open(DIR "/a", FILE_RW | FILE_APPEND);
    want("append", write_pattern(fd, 66537, 10, 1), 10);
    file_close(fd);
    want("the size is 10 more", size_of(DIR "/a"), 66547);
    fd = file_open(DIR "/a", FILE_RW | FILE_TRUNC);
    want("cut it", size_of(DIR "/a"), 0);
    want("write again", write_pattern(fd, 0, 8, 3), 8);
    file_close(fd);
    want("8 bytes", size_of(DIR "/a"), 8);
}

/* Somebody cuts the file while somebody else has capabilities for it. */
static void test_cut_while_open(void)
{
    int rd, wr = file_open(DIR "/c", FILE_RW | FILE_CREATE);

    write_pattern(wr, 0, 50000, 4);
    file_close(wr);
    rd = file_open(DIR "/c", FILE_R);
    want("read half of a file", read_pattern(rd, 0, 25000, 4), 25000);
    wr = file_open(DIR "/c", FILE_W | FILE_TRUNC);
    want("the other half was cut meanwhile", file_read(rd, buf, 25000), 0);
    want("write something else", write_pattern(wr, 0, 100, 5), 100);
    file_close(wr);
    file_seek(rd, 0, FILE_SET);
    want("the reader sees it", read_pattern(rd, 0, 1000, 5), 100);
    want("remove the name of an open file", file_unlink(DIR "/c"), SE_OK);
    file_seek(rd, 0, FILE_SET);
    want("it can still be read", read_pattern(rd, 0, 1000, 5), 100);
    want("but not opened", file_open(DIR "/c", FILE_R), -SE_NO_SUCH_FILE);
    file_close(rd);
}

static void test_names(void)
{
    struct m3fs_info info;
    struct file_dirent e;
    unsigned n = 0, err;
    int fd;

    want("a folder in it", file_mkdir(DIR "/sub", 0755), SE_OK);
    want("twice", file_mkdir(DIR "/sub", 0755), SE_EXISTS);
    want("a folder in nothing", file_mkdir(DIR "/none/sub", 0755), SE_NO_SUCH_FILE);
    want("link a file", file_link(DIR "/a", DIR "/sub/b"), SE_OK);
    want("it has two names", file_stat(DIR "/sub/b", &info) ? 0 : info.links, 2);
    want("to a name that is taken", file_link(DIR "/a", DIR "/sub/b"), SE_EXISTS);
    want("link a folder", file_link(DIR "/sub", DIR "/sub2"), SE_IS_DIR);
    want("rename", file_rename(DIR "/sub/b", DIR "/b"), SE_OK);
    want("the old name is gone", size_of(DIR "/sub/b"), -SE_NO_SUCH_FILE);
    want("the new one is there", size_of(DIR "/b"), 8);
    fd = file_open(DIR, FILE_R);
    while ((err = file_readdir(fd, &e)) == SE_OK)
        n++;
    file_close(fd);
    want("read the folder to its end", err, SE_END_OF_FILE);
    want("., .., a, b and sub", n, 5);
    want("a folder cannot be written", file_open(DIR, FILE_RW), -SE_IS_DIR);
    want("unlink a folder", file_unlink(DIR "/sub"), SE_IS_DIR);
    want("remove a file as a folder", file_rmdir(DIR "/a"), SE_IS_NO_DIR);
    want("remove a folder that is not empty", file_rmdir(DIR), SE_DIR_NOT_EMPTY);
    want("a file is no folder", size_of(DIR "/a/b"), -SE_IS_NO_DIR);
    want("no such mount", file_open("relative", FILE_R), -SE_NO_SUCH_FILE);
}

/* Requests that the library does not make. */
static void test_hostile(const char *service)
{
    const uint64_t words[] = {0, 0, 1, 0, 0};
    uint64_t out[8];
    struct session_args a = {.in = words, .nin = 5, .out = out, .nout = 8};
    struct session s;
    unsigned sel = sel_alloc(4);

    want("a second session", session_open(&s, service, NULL, 0), SE_OK);
    want("two capabilities instead of the gate", session_obtain(&s, sel, 2, NULL), SE_INV_ARGS);
    want("the gate", session_obtain(&s, sel, 1, NULL), SE_OK);
    want("parts of a file that is not open", session_obtain(&s, sel + 1, 1, &a), SE_INV_ARGS);
    want("parts of nothing", session_obtain(&s, sel + 1, 1, NULL), SE_INV_ARGS);
    want("delegate to it", session_delegate(&s, sel, 1, NULL), SE_NOT_SUP);
    want("close it", session_close(&s), SE_OK);
}

static int child_main(void *arg)
{
    int fd = file_open(DIR "/a", FILE_R);
    long n = read_pattern(fd, 0, 100, 3);

    (void)arg;
    if (n != 8 || file_write(FILE_OUT, "from the child", 14) != 14)
        return 1;
    return 42; /* and leaves its files to the library */
}

static void test_child(void)
{
    struct child c;
    int status = 0, fd;

    want("a child with our mounts", child_create(&c, "child"), SE_OK);
    want("its output is a file", child_file(&c, FILE_OUT, DIR "/out", FILE_W | FILE_CREATE), SE_OK);
    want("run it", child_run(&c, child_main, NULL), SE_OK);
    want("wait for it", child_wait(&c, &status), SE_OK);
    want("its exit code", status, 42);
    child_destroy(&c);
    fd = file_open(DIR "/out", FILE_R);
    want("what it wrote", file_read(fd, buf, 100), 14);
    want("is there", memcmp(buf, "from the child", 14), 0);
    file_close(fd);
}

static void test_end(void)
{
    static const char *const names[] = {DIR "/a", DIR "/b", DIR "/out"};

    for (unsigned i = 0; i < 3; i++)
        want(names[i], file_unlink(names[i]), SE_OK);
    want("remove the folder in it", file_rmdir(DIR "/sub"), SE_OK);
    want("remove the folder", file_rmdir(DIR), SE_OK);
    want("it is gone", size_of(DIR), -SE_NO_SUCH_FILE);
}

int main(int argc, char **argv)
{
    const char *service = argc > 1 ? argv[1] : "m3fs";

    want("no such service", file_mount("/x", "nobody"), SE_INV_ARGS);
    want("mount it", file_mount("/", service), SE_OK);
    want("twice", file_mount("/", service), SE_EXISTS);
    want("make a folder", file_mkdir(DIR, 0755), SE_OK);
    test_write_read();
    test_overwrite();
    test_cut_while_open();
    test_names();
    test_hostile(service);
    test_child();
    test_end();
    print("filetest: %u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
