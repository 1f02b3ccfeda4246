/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SemperOS' own boot/NAME.cfg files.  Most are text: the first line is the first kernel, every
 * further line a group of its arguments.  Some begin with `#!` and print such text when they are
 * run; they expect to be run from the root of the checkout, with what its ./b sets in the
 * environment.  So reading such a file means running it, with this user's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bootline.h"
#include "machine_impl.h"

#define MAX_FILE    (1u << 20)
#define MAX_SECONDS 60 /* that a script may take */

/* The environment of such a script; values of the user's own environment come first. */
static const char *const variables[][2] = {
    {"M3_TARGET", "gem5"}, {"M3_BUILD", "release"}, {"M3_FS", "default.img"},
    {"M3_CORE", "x86_64"}, {"M3_NUMFS", "1"},
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    for (size_t i = 0; !value && i < sizeof(variables) / sizeof(variables[0]); i++)
        if (strcmp(variables[i][0], name) == 0)
            value = variables[i][1];
    return value;
}

/* The checkout's root: the folder above boot/, else the folder of the file. */
static char *root_of(const char *path)
{
    char full[PATH_MAX], *dir;

    if (!realpath(path, full))
        return NULL;
    dir = dirname(full);
    if (strlen(dir) > 5 && strcmp(dir + strlen(dir) - 5, "/boot") == 0)
        dir = dirname(dir);
    return strdup(dir);
}

/* ---- scripts --------------------------------------------------------------------------------- */

struct script {
    char *line; /* its first line behind `#!`; cut up by split_interpreter() */
    const char *interpreter, *option;
    char *path, *root;
};

/* "#! /bin/sh -e": the kernel's own rule, one optional argument. */
static void split_interpreter(struct script *s)
{
    char *p = s->line + strspn(s->line, " \t");

    p[strcspn(p, "\r\n")] = 0;
    s->interpreter = p;
    p += strcspn(p, " \t");
    if (*p)
        *p++ = 0;
    p += strspn(p, " \t");
    s->option = *p ? p : NULL;
}

static void __attribute__((noreturn)) run_child(const struct script *s, int out)
{
    const char *argv[] = {s->interpreter, s->path, NULL, NULL};
    int null = open("/dev/null", O_RDONLY);

    if (s->option) {
        argv[1] = s->option;
        argv[2] = s->path;
    }
    /* A group of its own can be killed whole; and it must not outlive us, Ctrl-C goes only to us.
     */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(s->root) == 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(out, STDOUT_FILENO) >= 0) {
        for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
            setenv(variables[i][0], variables[i][1], 0);
        execv(s->interpreter, (char *const *)argv);
    }
    _exit(127);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything that comes through FD, up to SIZE - 1 bytes, into BUF.  -errno; -ETIME, -EFBIG. */
static int collect(int fd, char *buf, size_t size)
{
    int64_t end = now_ms() + MAX_SECONDS * 1000, left;
    size_t got = 0;

    while ((left = end - now_ms()) > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, (int)left) <= 0)
            continue; /* interrupted, or the time is over */
        n = read(fd, buf + got, size - 1 - got);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 || got == size - 1) {
            buf[got] = 0;
            return n == 0 ? 0 : -EFBIG;
        }
        got += n > 0 ? (size_t)n : 0;
        if (got == size - 1)
            return -EFBIG;
    }
    return -ETIME;
}

/* Run it; its output into BUF.  0 and *STATUS as of wait(), or -errno. */
static int run_script(const struct script *s, char *buf, size_t size, int *status)
{
    int fd[2], r;
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        run_child(s, fd[1]);
    r = pid < 0 ? -errno : 0;
    close(fd[1]);
    if (pid > 0) {
        setpgid(pid, pid);
        r = collect(fd[0], buf, size);
        if (r < 0)
            kill(-pid, SIGKILL);
        while (waitpid(pid, status, 0) < 0 && errno == EINTR)
            ;
    }
    close(fd[0]);
    return r;
}

static int script_output(struct machine *m, const struct script *s, char **text, struct diag *d)
{
    int status = 0, r;

    free(*text);
    *text = malloc(MAX_FILE);
    if (!*text)
        return -ENOMEM;
    r = run_script(s, *text, MAX_FILE, &status);
    if (r == -ETIME)
        diag_add(d, m->file, 1, "script ran for %d seconds without an end; was killed",
                 MAX_SECONDS);
    else if (r == -EFBIG)
        diag_add(d, m->file, 1, "script printed more than 1 MiB; was killed");
    else if (r < 0)
        diag_add(d, m->file, 1, "cannot run script: %s", strerror(-r));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        diag_add(d, m->file, 1, "cannot run interpreter '%s', or it misses a command; install it",
                 s->interpreter);
    else if (status != 0)
        diag_add(d, m->file, 1, "script failed (%s %d); run it by hand from %s",
                 WIFEXITED(status) ? "status" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), s->root);
    else
        return 0;
    return -EINVAL;
}

static int execute(struct machine *m, const char *path, const char *root, char **text,
                   struct diag *d)
{
    struct script s = {.root = strdup(root), .path = realpath(path, NULL)};
    int r = -ENOMEM;

    s.line = strndup(*text + 2, strcspn(*text + 2, "\n"));
    if (s.root && s.path && s.line) {
        split_interpreter(&s);
        r = script_output(m, &s, text, d);
    }
    free(s.line);
    free(s.path);
    free(s.root);
    return r;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int add_words(struct machine *m, char *line)
{
    char *save = NULL;
    int r = 0;

    for (char *w = strtok_r(line, " \t\r", &save); w && r == 0; w = strtok_r(NULL, " \t\r", &save))
        r = m->argc < 8192 ? bootline_add(m, w) : -E2BIG;
    return r;
}

/* The first line, then the others joined by `--`: the second follows the first without one. */
static int join_lines(struct machine *m, char *text, unsigned *lines)
{
    char *save = NULL;
    int r = bootline_set(m, 0, NULL);

    *lines = 0;
    for (char *l = strtok_r(text, "\n", &save); l && r == 0; l = strtok_r(NULL, "\n", &save)) {
        if (l[strspn(l, " \t\r")] == 0)
            continue;
        if (++*lines > 2)
            r = bootline_add(m, "--");
        if (r == 0)
            r = add_words(m, l);
    }
    return r;
}

/* M3_CORES as for ./b: 16 unless set, and at least one PE per line. */
static int set_pes(struct machine *m, unsigned lines, struct diag *d)
{
    const char *cores = getenv("M3_CORES");
    int r = 0;

    if (m->given[KEY_PES])
        return 0;
    if (cores && *cores) {
        r = machine_set(m, KEY_PES, cores, "M3_CORES (environment)", 0, d);
        m->given[KEY_PES] = r == 0;
    }
    if (m->pes < lines && lines <= MACHINE_MAX_PES)
        m->pes = lines;
    return r;
}

/* Programs and images of this checkout: build/$M3_TARGET-$M3_BUILD, or what is there. */
static int set_folders(struct machine *m, const char *root)
{
    char *build = NULL;
    struct stat st;

    if (asprintf(&build, "%s/build/%s-%s", root, variable("M3_TARGET"), variable("M3_BUILD")) < 0)
        return -ENOMEM;
    free(m->images);
    if (stat(build, &st) == 0) {
        m->images = build;
    } else {
        free(build);
        m->images = strdup(root);
    }
    for (int i = 0; i < m->argc; i++)
        m->wants_fs |= strcmp(m->argv[i], "m3fs") == 0;
    return m->images ? 0 : -ENOMEM;
}

static int parse(struct machine *m, char *text, size_t size, const char *root, struct diag *d)
{
    unsigned lines = 0;
    int r;

    if (strlen(text) != size) {
        diag_add(d, m->file, 0, "is no text file; name a SemperOS .cfg");
        return -EINVAL;
    }
    r = join_lines(m, text, &lines);
    m->given[KEY_BOOT] = true;
    m->where[KEY_BOOT] = 1;
    if (r == -E2BIG) {
        diag_add(d, m->file, 0, "has more than 8192 words; shorten it");
        return -EINVAL;
    }
    if (r == 0)
        r = set_pes(m, lines, d);
    if (r == 0)
        r = set_folders(m, root);
    return r;
}

int machine_from_cfg(struct machine *m, const char *path, struct diag *d)
{
    char *text = NULL, *root = NULL;
    size_t size = 0;
    int r = read_whole(path, MAX_FILE, &text, &size);

    free(m->file);
    m->file = strdup(path);
    if (r == 0 && (!m->file || !(root = root_of(path))))
        r = -ENOMEM;
    if (r < 0 && r != -ENOMEM) {
        diag_add(d, NULL, 0, "cannot read boot file %s: %s; name a boot file of SemperOS", path,
                 r == -EFBIG ? "larger than 1 MiB" : strerror(-r));
        return -EINVAL;
    }
    if (r == 0 && strncmp(text, "#!", 2) == 0) {
        r = execute(m, path, root, &text, d);
        size = r == 0 ? strlen(text) : 0;
    }
    if (r == 0)
        r = parse(m, text, size, root, d);
    free(text);
    free(root);
    return r;
}
