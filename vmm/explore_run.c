/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of an exploration: a process of its own, so that whatever happens in it, to the guests or
 * to sempervm itself, is a verdict and nothing more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "explore_impl.h"
#include "run.h"

#define KILL_AFTER_NS 10000000000ull /* behind the limit: it should have ended itself */
#define OWN_WORDS     16             /* words of ours on a run's command line */

uint64_t explore_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void explore_path(const struct explore *e, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", e->dir, name) >= PATH_MAX)
        out[0] = '\0';
}

void explore_seed_path(const struct explore *e, uint64_t seed, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/seed-%" PRIu64 ".%s", e->dir, seed, name) >= PATH_MAX)
        out[0] = '\0';
}

/* ---- what is expected ---- */

/* All of a file, NUL-terminated, malloc'd; NULL with errno. */
static char *read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
    struct stat st;
    char *text = NULL;
    ssize_t n;

    *len = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && (text = malloc((size_t)st.st_size + 1))) {
        while (*len < (size_t)st.st_size &&
               (n = read(fd, text + *len, (size_t)st.st_size - *len)) > 0)
            *len += (size_t)n;
        text[*len] = '\0';
    }
    saved = errno;
    close(fd);
    errno = saved;
    return text;
}

int explore_read_lines(struct explore *e)
{
    size_t len, cap = 0;
    char *text, *line, *save = NULL;

    if (!e->expect)
        return 0;
    text = read_file(e->expect, &len);
    if (!text) {
        fprintf(stderr, "sempervm: --expect %s: %s\n", e->expect, strerror(errno));
        return -EINVAL;
    }
    for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (e->nlines == cap) {
            char **more = realloc(e->lines, (cap = cap * 2 + 16) * sizeof(*more));

            if (!more)
                break;
            e->lines = more;
        }
        e->lines[e->nlines++] = strdup(line);
    }
    free(text);
    if (e->nlines && !line)
        return 0;
    fprintf(stderr, "sempervm: --expect %s: it has no lines; write down what must occur\n",
            e->expect);
    return -EINVAL;
}

/* 0, or the number of the first line that does not occur. */
static unsigned missing_line(const struct explore *e, const char *out)
{
    size_t len, i;
    char *text = read_file(out, &len);
    unsigned missing = 0;

    for (i = 0; i < e->nlines && !missing; i++)
        if (!text || !e->lines[i] || !memmem(text, len, e->lines[i], strlen(e->lines[i])))
            missing = (unsigned)i + 1;
    free(text);
    return missing;
}

/* ---- processes ---- */

/* What every child does before exec: signals as at the start, and not to outlive us. */
static void child_setup(const char *in, int in_flags, const char *out)
{
    sigset_t none;
    int fd;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* Ctrl-C is ours to handle */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fd = open(in, in_flags);
    if (fd < 0 || dup2(fd, 0) < 0)
        _exit(EXIT_HOST);
    fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(1, 2) < 0)
        _exit(EXIT_HOST);
}

/* The wait status of the check program on a run's output. */
static int check_program(const struct explore *e, const char *out)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        child_setup(out, O_RDONLY, "/dev/null");
        execl("/bin/sh", "sh", "-c", e->check, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static struct outcome judge(const struct explore *e, int status, const char *out)
{
    struct outcome o = {.verdict = VERDICT_OK};

    if (WIFSIGNALED(status))
        return (struct outcome){VERDICT_SIGNAL, (unsigned)WTERMSIG(status), 0};
    switch (WEXITSTATUS(status)) {
    case EXIT_OK:
        break;
    case EXIT_GUEST:
        if (e->check && e->faults && strstr(e->faults, "crash="))
            break; /* a PE that was made to crash makes it so; whether the rest is well, it knows */
        o.verdict = VERDICT_GUEST;
        return o;
    case EXIT_USAGE:
        o.verdict = VERDICT_USAGE;
        return o;
    case EXIT_TIMEOUT:
        o.verdict = VERDICT_TIMEOUT;
        return o;
    case EXIT_DEADLOCK:
        o.verdict = VERDICT_DEADLOCK;
        return o;
    default:
        o.verdict = VERDICT_HOST;
        return o;
    }
    if (e->nlines && (o.detail = missing_line(e, out)) != 0)
        o.verdict = VERDICT_EXPECT;
    else if (e->check && (o.detail = (unsigned)check_program(e, out)) != 0)
        o.verdict = VERDICT_CHECK;
    return o;
}

/* `run` and its options; ours first, so that the user's own --timeout counts. */
static char **command_line(const struct explore *e, const struct job *j, char number[2][32])
{
    char **argv = calloc((size_t)e->nrun + OWN_WORDS, sizeof(*argv));
    int n = 0, i;

    if (!argv)
        return NULL;
    snprintf(number[0], 32, "%.3f", (double)e->limit_ns / 1e9);
    snprintf(number[1], 32, "%" PRIu64, j->seed);
    argv[n++] = (char *)"sempervm";
    argv[n++] = (char *)"run";
    argv[n++] = (char *)"--timeout";
    argv[n++] = number[0];
    argv[n++] = (char *)"--seed";
    argv[n++] = number[1];
    if (e->policy) {
        argv[n++] = (char *)"--policy";
        argv[n++] = (char *)e->policy;
    }
    if (e->faults) {
        argv[n++] = (char *)"--faults";
        argv[n++] = (char *)e->faults;
    }
    if (j->schedule) {
        argv[n++] = (char *)"--schedule";
        argv[n++] = (char *)j->schedule;
    }
    argv[n++] = (char *)"--trace";
    argv[n++] = (char *)j->trace;
    for (i = 0; i < e->nrun; i++)
        argv[n++] = e->run[i];
    return argv;
}

int explore_start(struct explore *e, struct job *j)
{
    char number[2][32];
    char **argv = command_line(e, j, number);
    int r = 0;

    j->start_ns = explore_ns();
    j->kill_ns = j->start_ns + e->limit_ns + KILL_AFTER_NS;
    j->pid = argv ? fork() : -1;
    if (j->pid == 0) {
        child_setup("/dev/null", O_RDONLY, j->out);
        execv("/proc/self/exe", argv);
        _exit(EXIT_HOST);
    }
    j->pidfd = j->pid > 0 ? (int)syscall(SYS_pidfd_open, j->pid, 0) : -1;
    if (j->pidfd < 0) {
        r = -errno;
        fprintf(stderr, "sempervm: cannot start a run: %s: use fewer --jobs\n", strerror(errno));
        if (j->pid > 0) {
            kill(j->pid, SIGKILL);
            waitpid(j->pid, NULL, 0);
        }
        j->pid = 0;
    }
    free(argv);
    return r;
}

/* Ends the slot; the result counts unless we killed it for a signal of ours. */
static struct job *reap(struct explore *e, struct job *j)
{
    int status = 0;

    while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(j->pidfd);
    j->pid = 0;
    j->result = judge(e, status, j->out);
    j->result.ns = explore_ns() - j->start_ns;
    if (j->kill_ns == 0)
        j->result = (struct outcome){VERDICT_TIMEOUT, 0, j->result.ns};
    return j;
}

/* Milliseconds until the first job has had its time, at most `ms`. */
static int kill_late(struct explore *e, int ms)
{
    uint64_t now = explore_ns(), left;
    unsigned i;

    for (i = 0; i < e->njobs; i++) {
        struct job *j = &e->jobs[i];

        if (!j->pid || !j->kill_ns)
            continue;
        left = j->kill_ns > now ? j->kill_ns - now : 0;
        if (left == 0) {
            kill(j->pid, SIGKILL);
            j->kill_ns = 0;
        } else if (left / 1000000 < (uint64_t)ms) {
            ms = (int)(left / 1000000) + 1;
        }
    }
    return ms;
}

struct job *explore_wait(struct explore *e, int ms)
{
    struct pollfd *p = calloc(e->njobs + 1, sizeof(*p));
    struct signalfd_siginfo info;
    struct job *ended = NULL;
    unsigned i;

    if (!p)
        return NULL;
    p[0] = (struct pollfd){.fd = e->signal_fd, .events = POLLIN};
    for (i = 0; i < e->njobs; i++)
        p[i + 1] = (struct pollfd){.fd = e->jobs[i].pid ? e->jobs[i].pidfd : -1, .events = POLLIN};
    if (poll(p, e->njobs + 1, kill_late(e, ms)) > 0) {
        if ((p[0].revents & POLLIN) && read(e->signal_fd, &info, sizeof(info)) == sizeof(info))
            e->signo = (int)info.ssi_signo;
        for (i = 0; i < e->njobs && !ended && !e->signo; i++)
            if (p[i + 1].revents & POLLIN)
                ended = reap(e, &e->jobs[i]);
    }
    free(p);
    return ended;
}

void explore_kill(struct explore *e)
{
    unsigned i;

    for (i = 0; i < e->njobs; i++)
        if (e->jobs[i].pid) {
            kill(e->jobs[i].pid, SIGKILL);
            while (waitpid(e->jobs[i].pid, NULL, 0) < 0 && errno == EINTR)
                ;
            close(e->jobs[i].pidfd);
            e->jobs[i].pid = 0;
        }
}
