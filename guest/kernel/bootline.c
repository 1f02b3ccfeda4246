/* SPDX-License-Identifier: BSD-2-Clause */
/* See bootline.h.  Pure code. */
#include "bootline.h"

#include <stddef.h>

#include "str.h"

/* What follows `key` in word, NULL: word does not begin with it. */
static const char *value_of(const char *word, const char *key)
{
    size_t n = strlen(key);

    return strncmp(word, key, n) == 0 ? word + n : NULL;
}

/* A decimal number 1..max; 0: it is none. */
static unsigned number(const char *s, unsigned max)
{
    unsigned n = 0;

    if (*s == 0)
        return 0;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return 0;
        n = n * 10 + (unsigned)(*s - '0');
        if (n > max)
            return 0;
    }
    return n;
}

/* Is word one for the kernel?  Then app has it; *error is set when it makes no sense. */
static bool option(struct boot_app *app, const char *word, unsigned max, const char **error)
{
    const char *v;

    if (strcmp(word, "daemon") == 0) {
        app->daemon = true;
    } else if ((v = value_of(word, "requires="))) {
        if (*v == 0 || app->nrequires == BOOT_REQUIRES)
            *error = "requires= without a name, or too many of them";
        else
        app->requires[app->nrequires++] = v;
    } else if ((v = value_of(word, "repeat="))) {
        app->repeat = number(v, max);
        if (app->repeat == 0)
            *error = "repeat= wants a number of instances";
    } else {
        return false;
    }
    return true;
}

/* A further kernel keeps all words but pes= for itself. */
static void kernel_word(struct boot_app *app, char *word, unsigned max, const char **error)
{
    const char *v = value_of(word, "pes=");

    if (!v) {
        app->argc++;
        return;
    }
    app->pes = number(v, max);
    if (app->pes == 0)
        *error = "pes= wants a number of PEs";
}

int bootline_next(int argc, char **argv, const char *separator, unsigned max, int *pos,
                  struct boot_app *app, const char **error)
{
    bool options = false;
    int i = *pos;

    *error = NULL;
    while (i < argc && strcmp(argv[i], separator) == 0)
        i++;
    if (i >= argc) {
        *pos = i;
        return 0;
    }
    *app = (struct boot_app){.argc = 1, .argv = argv + i, .repeat = 1, .pes = 1};
    app->kernel = strcmp(bootline_name(argv[i]), "kernel") == 0;
    app->idle = strcmp(bootline_name(argv[i]), "idle") == 0;
    for (i++; i < argc && strcmp(argv[i], separator) != 0; i++) {
        if (app->kernel) {
            kernel_word(app, argv[i], max, error);
        } else if (value_of(argv[i], "pes=")) {
            *error = "pes= is for kernels";
        } else if (option(app, argv[i], max, error)) {
            options = true;
        } else if (options) {
            *error = "a word for the program behind one for the kernel";
        } else {
            app->argc++;
        }
    }
    *pos = i;
    return *error ? -1 : 1;
}

const char *bootline_name(const char *path)
{
    const char *name = path;

    for (const char *p = path; *p; p++)
        if (*p == '/' && p[1])
            name = p + 1;
    return name;
}
