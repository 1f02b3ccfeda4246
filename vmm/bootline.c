/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of the boot line and what they mean to a kernel (semperos-platform 1, 5, 7).  The kernel
 * itself panics on most of these mistakes, or starts less than was asked for; here each one gets a
 * line that says which words are meant.
 */
#include "bootline.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../include/boot.h"

/* Below the guard there is room for no more: pointer, one character, NUL. */
#define MAX_WORDS 8192

const char *bootline_value(const char *word, const char *key)
{
    size_t n = strlen(key);

    return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

bool machine_has_kernel(const struct machine *m)
{
    return m->argc > 0 && strncmp(m->argv[0], "kernel", 6) == 0;
}

bool bootline_next(const struct machine *m, const char *separator, int *at, int end,
                   struct boot_group *g)
{
    if (*at >= end)
        return false;
    g->first = *at;
    for (g->end = *at; g->end < end && strcmp(m->argv[g->end], separator) != 0;)
        g->end++;
    g->kernel = g->first < g->end && strcmp(m->argv[g->first], "kernel") == 0;
    *at = g->end + 1;
    return true;
}

static void clear(struct machine *m)
{
    for (int i = 0; i < m->argc; i++)
        free(m->argv[i]);
    free(m->argv);
    m->argv = NULL;
    m->argc = 0;
}

int bootline_add(struct machine *m, const char *word)
{
    char **v = realloc(m->argv, ((size_t)m->argc + 2) * sizeof(*v));

    if (!v)
        return -ENOMEM;
    m->argv = v;
    v[m->argc] = strdup(word);
    v[m->argc + 1] = NULL;
    if (!v[m->argc])
        return -ENOMEM;
    m->argc++;
    return 0;
}

int bootline_set(struct machine *m, int argc, char *const argv[])
{
    int r = 0;

    clear(m);
    for (int i = 0; i < argc && r == 0; i++)
        r = bootline_add(m, argv[i]);
    return r;
}

static void remove_word(struct machine *m, int at)
{
    free(m->argv[at]);
    memmove(m->argv + at, m->argv + at + 1, (size_t)(m->argc - at) * sizeof(*m->argv));
    m->argc--;
}

static int put_kernel_first(struct machine *m)
{
    char *last;
    int r = bootline_add(m, "kernel");

    if (r < 0)
        return r;
    last = m->argv[m->argc - 1];
    memmove(m->argv + 1, m->argv, (size_t)(m->argc - 1) * sizeof(*m->argv));
    m->argv[0] = last;
    return 0;
}

int bootline_imply_kernel(struct machine *m)
{
    struct boot_group g;
    bool pes = false;
    int at = 0, r = 0;

    if (!bootline_next(m, "--", &at, m->argc, &g))
        return 0;
    for (int i = g.first; i < g.end; i++)
        pes |= bootline_value(m->argv[i], "pes") != NULL;
    at = bootline_first(m);
    if (g.kernel && pes && (at >= m->argc || strcmp(m->argv[at], "kernel") != 0))
        r = put_kernel_first(m);
    if (r == 0 && m->argc > 2 && machine_has_kernel(m) && strcmp(m->argv[1], "--") == 0)
        remove_word(m, 1);
    return r;
}

int bootline_from_text(struct machine *m, const char *text, bool imply, int line, struct diag *d)
{
    char *copy = strdup(text), *save = NULL;
    int r = copy ? 0 : -ENOMEM;

    clear(m);
    for (char *w = copy ? strtok_r(copy, " \t\r\n\v\f", &save) : NULL; w && r == 0;
         w = strtok_r(NULL, " \t\r\n\v\f", &save))
        r = m->argc < MAX_WORDS ? bootline_add(m, w) : -E2BIG;
    free(copy);
    if (r == -E2BIG) {
        diag_add(d, line ? m->file : NULL, line, "boot line has more than %d words; shorten it",
                 MAX_WORDS);
        return -EINVAL;
    }
    return r == 0 && imply ? bootline_imply_kernel(m) : r;
}

uint64_t bootline_bytes(const struct machine *m)
{
    uint64_t n = (uint64_t)m->argc * 8;

    for (int i = 0; i < m->argc; i++)
        n += strlen(m->argv[i]) + 1;
    return n;
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct check {
    const struct machine *m;
    struct diag *d;
    const char *file;
    int line;
};

#define COMPLAIN(c, ...) diag_add((c)->d, (c)->file, (c)->line, __VA_ARGS__)

/* 0: it is none, which was said. */
static unsigned number(const struct check *c, const char *word, const char *value)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || n < 1 || n > MACHINE_MAX_PES) {
        COMPLAIN(c, "boot line: '%s' wants a number from 1 to %u", word, MACHINE_MAX_PES);
        return 0;
    }
    return (unsigned)n;
}

static void check_name(const struct check *c, const char *name)
{
    bool plain = *name != 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

    for (const char *p = name; *p; p++)
        plain &= *p != '/' && (unsigned char)*p > ' ' && *p != 0x7F;
    if (!plain)
        COMPLAIN(c,
                 "boot line: '%s' is no program name; give the bare file name and its folder "
                 "with --images",
                 name);
    else if (strlen(name) >= sizeof(((struct boot_module *)0)->name))
        COMPLAIN(c, "boot line: program name '%.20s...' is longer than 127 characters", name);
    else if (strchr(name, '='))
        COMPLAIN(c, "boot line: '%s' stands where a program is expected; name the program first",
                 name);
}

/* A program: the PEs that it takes.  A kernel drops `daemon` and what follows from its arguments.
 */
static unsigned check_program(const struct check *c, const struct boot_group *g)
{
    const char *name = c->m->argv[g->first], *value;
    const char *special = NULL;
    unsigned repeat = 1;

    check_name(c, name);
    for (int i = g->first + 1; i < g->end; i++) {
        const char *word = c->m->argv[i];

        if (bootline_value(word, "pes"))
            COMPLAIN(c, "boot line: '%s' of '%s': pes= belongs at the end of a kernel's group",
                     word, name);
        else if ((value = bootline_value(word, "repeat")))
            repeat = number(c, word, value);
        else if (strcmp(word, "daemon") == 0 || bootline_value(word, "requires"))
            special = word;
        else if (strcmp(word, "--") == 0 || strcmp(word, "++") == 0)
            COMPLAIN(c, "boot line: '%s' within '%s': ++ separates the programs of another kernel",
                     word, name);
        else if (special)
            COMPLAIN(c, "boot line: '%s' of '%s' stands behind '%s'; put arguments first", word,
                     name, special);
    }
    return strcmp(name, "idle") == 0 ? 0 : repeat;
}

int bootline_first(const struct machine *m)
{
    int at = 1;

    while (machine_has_kernel(m) && at < m->argc &&
           (bootline_value(m->argv[at], "id") || bootline_value(m->argv[at], "peer") ||
            bootline_value(m->argv[at], "roam")))
        at++;
    return at;
}

/* roam=N: after each N system calls the caller moves to another kernel. */
static void check_roam(const struct check *c, const char *word)
{
    const char *value = bootline_value(word, "roam");
    unsigned n;
    char tail;

    if (value && (!isdigit((unsigned char)*value) || sscanf(value, "%6u%c", &n, &tail) != 1 || !n))
        COMPLAIN(c, "boot line: '%s' wants a number of system calls from 1 to 999999", word);
}

/* id=N, then peer=ID@PE: the first kernel as one of several that start on their own. */
static void check_own(const struct check *c)
{
    int end = bootline_first(c->m);
    const char *value;
    unsigned id, pe;
    char tail;

    for (int i = 1; i < end; i++) {
        value = bootline_value(c->m->argv[i], "id");
        if (value && (i > 1 || sscanf(value, "%4u%c", &id, &tail) != 1 || id > MACHINE_MAX_PES))
            COMPLAIN(c, "boot line: '%s': want one id=N right behind the kernel, N from 0 to %u",
                     c->m->argv[i], MACHINE_MAX_PES);
        value = bootline_value(c->m->argv[i], "peer");
        if (value && (!bootline_value(c->m->argv[1], "id") ||
                      sscanf(value, "%4u@%4u%c", &id, &pe, &tail) != 2 || id > MACHINE_MAX_PES ||
                      pe < 1 || pe > MACHINE_MAX_PES))
            COMPLAIN(c, "boot line: '%s': want peer=ID@PE, another kernel's, behind id=N",
                     c->m->argv[i]);
        check_roam(c, c->m->argv[i]);
    }
}

static unsigned check_kernel(const struct check *c, const struct boot_group *k)
{
    unsigned pes = 1, need = 1;
    int at = k->first + 1, end = k->end;
    bool given = false;
    struct boot_group g;
    const char *value;

    if (end > at && (value = bootline_value(c->m->argv[end - 1], "pes"))) {
        pes = number(c, c->m->argv[--end], value);
        given = true;
    }
    if (end > at && bootline_value(c->m->argv[at], "roam"))
        check_roam(c, c->m->argv[at++]);
    if (end > at && strcmp(c->m->argv[end - 1], "++") == 0)
        COMPLAIN(c, "boot line: empty group behind the last '++'; remove it");
    while (bootline_next(c->m, "++", &at, end, &g)) {
        if (g.first == g.end)
            COMPLAIN(c, "boot line: empty group at '++'; remove one");
        else if (g.kernel)
            COMPLAIN(c, "boot line: a kernel within a kernel's group; only the first one may start "
                        "kernels, separate them by --");
        else
            need += check_program(c, &g);
    }
    if (pes > 0 && need > pes)
        COMPLAIN(c, "boot line: a kernel's group needs %u PEs but has %u; %s pes=%u", need, pes,
                 given ? "make it" : "end it with", need);
    return pes;
}

static void check_groups(const struct check *c, struct boot_needs *needs)
{
    struct boot_group g;
    int at = bootline_first(c->m), argc = c->m->argc;

    check_own(c);
    if (argc > 1 && strcmp(c->m->argv[argc - 1], "--") == 0)
        COMPLAIN(c, "boot line: empty group behind the last '--'; remove it");
    while (bootline_next(c->m, "--", &at, argc, &g)) {
        if (g.first == g.end) {
            COMPLAIN(c, "boot line: empty group at '--'; remove one");
        } else if (g.kernel) {
            needs->pes += check_kernel(c, &g);
            needs->kernels++;
        } else {
            needs->pes += check_program(c, &g);
        }
    }
}

void bootline_check(const struct machine *m, struct boot_needs *needs, struct diag *d)
{
    int line = m->where[KEY_BOOT];
    struct check c = {
        .m = m, .d = d, .file = line || !m->given[KEY_BOOT] ? m->file : NULL, .line = line};
    uint64_t room = PE_GUARD - PE_ENV_ADDR - sizeof(struct boot_env) - sizeof(struct boot_kenv);

    *needs = (struct boot_needs){.pes = 1, .kernels = 1};
    if (m->argc == 0) {
        COMPLAIN(&c, "no boot line; name the program of PE 1, e.g. -- kernel hello");
        return;
    }
    check_name(&c, m->argv[0]);
    if (bootline_bytes(m) > room)
        COMPLAIN(&c,
                 "boot line: arguments need %" PRIu64 " bytes and there is room for %" PRIu64
                 "; shorten it",
                 bootline_bytes(m), room);
    if (machine_has_kernel(m))
        check_groups(&c, needs);
}

/* ---- boot modules ---------------------------------------------------------------------------- */

static int add_module(const char *list[], int n, unsigned max, const char *name)
{
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return n;
    if ((unsigned)n == max)
        return -E2BIG;
    list[n] = name;
    return n + 1;
}

static int kernel_modules(const struct machine *m, const struct boot_group *k, const char *list[],
                          int n, unsigned max)
{
    int at = k->first + 1, end = k->end;
    struct boot_group g;

    if (end > at && bootline_value(m->argv[end - 1], "pes"))
        end--;
    if (at < end && bootline_value(m->argv[at], "roam"))
        at++;
    while (bootline_next(m, "++", &at, end, &g))
        if (g.first < g.end)
            n = add_module(list, n, max, m->argv[g.first]);
    return n;
}

int machine_modules(const struct machine *m, const char *name[], unsigned max)
{
    struct boot_group g;
    int at = bootline_first(m), n = 0;

    while (machine_has_kernel(m) && bootline_next(m, "--", &at, m->argc, &g)) {
        if (g.kernel)
            n = kernel_modules(m, &g, name, n, max);
        if (g.first < g.end)
            n = add_module(name, n, max, m->argv[g.first]);
    }
    /* The place of idle is the last, whoever names it before. */
    for (int i = 0; i < n; i++)
        if (strcmp(name[i], "idle") == 0) {
            memmove(name + i, name + i + 1, (size_t)(n - i - 1) * sizeof(*name));
            n--;
        }
    return add_module(name, n, max, "idle");
}
