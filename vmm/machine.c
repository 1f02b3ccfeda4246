/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine description: defaults, and setting single values from text.  Whether a value comes
 * from an INI key or from an option makes no difference but for its name in messages, so both end
 * in machine_set().
 */
#include "machine.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../include/boot.h"
#include "bootline.h"
#include "machine_impl.h"

/* The folder guest/ next to this program, where the build puts the programs for PEs. */
static char *default_images(void)
{
    char self[PATH_MAX], *path = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        return strdup("build/guest");
    self[n] = 0;
    return asprintf(&path, "%s/guest", dirname(self)) < 0 ? NULL : path;
}

int machine_defaults(struct machine *m)
{
    *m = (struct machine){
        .pes = MACHINE_DEFAULT_PES,
        .spm_size = PE_SPM_DEFAULT,
        .dram_size = MEM_SIZE,
        .log_level = LOG_WARN,
        .images = default_images(),
        .link_program = strdup("bridge"),
        .link_images = default_images(),
        .seed = {.faults = {.up = 1000000}},
        .nic = {.mac = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}},
    };
    return m->images && m->link_program && m->link_images ? 0 : -ENOMEM;
}

void machine_clear_fs(struct machine *m)
{
    for (unsigned i = 0; i < m->nfs; i++)
        free(m->fs[i].path);
    free(m->fs);
    m->fs = NULL;
    m->nfs = 0;
}

void machine_free(struct machine *m)
{
    bootline_set(m, 0, NULL);
    machine_clear_fs(m);
    nodes_free(m);
    free(m->pe);
    free(m->images);
    free(m->file);
    *m = (struct machine){0};
}

uint64_t machine_spm(const struct machine *m, unsigned pe)
{
    for (unsigned i = 0; i < m->npe; i++)
        if (m->pe[i].pe == pe && m->pe[i].spm_size)
            return m->pe[i].spm_size;
    for (unsigned k = 0; k < m->nnodes; k++)
        if (m->node[k].bridge == pe)
            return MACHINE_BRIDGE_SPM;
    return m->spm_size;
}

/* ---- values from text ------------------------------------------------------------------------ */

static int parse_count(const char *s, uint64_t *out)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(s, &end, 10);
    if (!isdigit((unsigned char)*s) || *end || errno)
        return -EINVAL;
    *out = n;
    return 0;
}

int machine_parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMG";
    const char *unit;
    unsigned shift = 0;
    uint64_t n;
    char *end;

    errno = 0;
    n = strtoull(s, &end, 0);
    if (!isdigit((unsigned char)*s) || errno)
        return -EINVAL;
    if (*end && (unit = strchr(units, toupper((unsigned char)*end)))) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
        if (strcmp(end, "iB") == 0)
            end += 2;
    }
    if (*end || n > UINT64_MAX >> shift)
        return -EINVAL;
    *out = n << shift;
    return 0;
}

static int parse_seconds(const char *s, uint64_t *ns)
{
    char *end;
    double sec = strtod(s, &end);

    if (*s == 0 || *end || isspace((unsigned char)*s) || !isfinite(sec) || sec < 0 || sec > 1e9)
        return -EINVAL;
    *ns = (uint64_t)(sec * 1e9);
    return 0;
}

/* The position of a word in a list that NULL ends, -1 if it is not there. */
static int word_index(const char *s, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (strcmp(s, words[i]) == 0)
            return i;
    return -1;
}

static int parse_bool(const char *s, bool *out)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", NULL};
    int i = word_index(s, words);

    *out = i & 1;
    return i < 0 ? -EINVAL : 0;
}

/* What is on unless somebody says no. */
static int parse_no(const char *s, bool *out)
{
    bool yes;
    int r = parse_bool(s, &yes);

    if (r == 0)
        *out = !yes;
    return r;
}

static int parse_when(const char *s, enum machine_when *out)
{
    static const char *const words[] = {"auto", "always", "never", "auto", "yes", "no", NULL};
    int i = word_index(s, words);

    *out = i < 0 ? WHEN_AUTO : (enum machine_when)(i % 3);
    return i < 0 ? -EINVAL : 0;
}

static int parse_level(const char *s, enum machine_log *out)
{
    static const char *const words[] = {"error", "warn", "info", "debug", NULL};
    int i = word_index(s, words);

    *out = i < 0 ? LOG_WARN : (enum machine_log)i;
    return i < 0 ? -EINVAL : 0;
}

static int parse_report(const char *s, unsigned *out)
{
    static const char *const words[] = {"pairs", "exits", NULL};
    char *copy = strdup(s), *save = NULL;
    int r = copy ? 0 : -ENOMEM;

    *out = 0;
    for (char *w = copy ? strtok_r(copy, ", \t", &save) : NULL; w && r == 0;
         w = strtok_r(NULL, ", \t", &save)) {
        int i = word_index(w, words);

        r = i < 0 ? -EINVAL : 0;
        *out |= i < 0 ? 0 : 1u << i;
    }
    free(copy);
    return r;
}

/* A folder or file named in a description is relative to the description's own folder. */
int machine_path(const struct machine *m, const char *value, int line, char **out)
{
    char *copy, *path = NULL;
    int n;

    if (*value == '/' || line == 0 || !m->file) {
        path = strdup(value);
    } else {
        copy = strdup(m->file);
        if (!copy)
            return -ENOMEM;
        n = asprintf(&path, "%s/%s", dirname(copy), value);
        free(copy);
        if (n < 0)
            return -ENOMEM;
    }
    if (!path)
        return -ENOMEM;
    free(*out);
    *out = path;
    return 0;
}

static int parse_pes(const char *s, unsigned *out)
{
    uint64_t n = 0;

    if (parse_count(s, &n) < 0 || n < 1 || n > MACHINE_MAX_PES)
        return -EINVAL;
    *out = (unsigned)n;
    return 0;
}

static int replace(char **to, const char *v)
{
    char *copy = strdup(v);

    if (!copy)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

static int parse_program(struct machine *m, const char *v)
{
    return *v && !strchr(v, '/') && *v != '.' ? replace(&m->link_program, v) : -EINVAL;
}

/* An input that a PCI device may have: not the timer's, the keyboard's and so on. */
static int parse_irq(const char *v, unsigned *out)
{
    unsigned irq;

    if (parse_pes(v, &irq) < 0 || irq > 15 || !(0xDEF8u >> irq & 1))
        return -EINVAL;
    *out = irq;
    return 0;
}

/* The keys of [nic] and [link]. */
static int parse_net_key(struct machine *m, enum machine_key key, const char *v, int line)
{
    struct machine_nic *nic = &m->nic;

    switch (key) {
    case KEY_PCAP:
        return *v ? machine_path(m, v, line, &m->pcap) : -EINVAL;
    case KEY_LINK_KEY:
        return *v ? machine_path(m, v, line, &m->link_key) : -EINVAL;
    case KEY_LINK_PROGRAM:
        return parse_program(m, v);
    case KEY_LINK_OPTIONS:
        return *v ? replace(&m->link_options, v) : -EINVAL;
    case KEY_NIC_PE:
        nic->on = true;
        return parse_pes(v, &nic->pe);
    case KEY_NIC_MAC:
        nic->on = true;
        return machine_parse_mac(v, nic->mac);
    case KEY_NIC_UDP:
    case KEY_NIC_PEER:
        nic->on = true;
        return machine_is_address(v) ? replace(key == KEY_NIC_UDP ? &nic->udp : &nic->peer, v)
                                     : -EINVAL;
    case KEY_NIC_STREAM:
        nic->on = true;
        return machine_is_stream(v) ? replace(&nic->stream, v) : -EINVAL;
    case KEY_NIC_IRQ:
        nic->on = true;
        return parse_irq(v, &nic->irq);
    default:
        return -EINVAL;
    }
}

static int parse_key(struct machine *m, enum machine_key key, const char *v, int line)
{
    switch (key) {
    case KEY_PES:
        return parse_pes(v, &m->pes);
    case KEY_SPM:
        return machine_parse_size(v, &m->spm_size);
    case KEY_DRAM:
        return machine_parse_size(v, &m->dram_size);
    case KEY_IMAGES:
        return *v ? machine_path(m, v, line, &m->images) : -EINVAL;
    case KEY_LOG:
        return parse_level(v, &m->log_level);
    case KEY_TIMEOUT:
        return parse_seconds(v, &m->timeout_ns);
    case KEY_PREFIX:
        return parse_when(v, &m->prefix);
    case KEY_COLOR:
        return parse_when(v, &m->color);
    case KEY_REPORT:
        return parse_report(v, &m->report);
    case KEY_STATS:
        return parse_bool(v, &m->stats);
    case KEY_UNTIL_IDLE:
        return parse_bool(v, &m->until_idle);
    case KEY_RINGS:
        return parse_no(v, &m->no_rings);
    case KEY_MAPPED:
        return parse_bool(v, &m->mapped);
    default:
        return parse_net_key(m, key, v, line);
    }
}

/* What a value must be, behind "want". */
static const char *const wanted[KEY_COUNT] = {
    [KEY_PES] = "a number from 1 to 1022",
    [KEY_SPM] = "a size like 8M",
    [KEY_DRAM] = "a size like 8G",
    [KEY_IMAGES] = "a folder",
    [KEY_BOOT] = "a boot line like kernel hello",
    [KEY_LOG] = "error, warn, info or debug",
    [KEY_TIMEOUT] = "seconds from 0 (none) to 1e9",
    [KEY_PREFIX] = "auto, yes or no",
    [KEY_COLOR] = "auto, always or never",
    [KEY_REPORT] = "a list of pairs, exits",
    [KEY_STATS] = "yes or no",
    [KEY_UNTIL_IDLE] = "yes or no",
    [KEY_RINGS] = "yes or no",
    [KEY_MAPPED] = "yes or no",
    [KEY_PCAP] = "a file",
    [KEY_LINK_KEY] = "a file",
    [KEY_LINK_PROGRAM] = "the bare name of a program",
    [KEY_LINK_OPTIONS] = "what guest/bridge/args.h lists, like dead=5000 stats",
    [KEY_NIC_PE] = "a number from 1 to 1022",
    [KEY_NIC_MAC] = "six bytes like 52:54:00:12:34:56, no group address",
    [KEY_NIC_UDP] = "host:port",
    [KEY_NIC_PEER] = "host:port",
    [KEY_NIC_STREAM] = "listen: or connect: and tcp:host:port or unix:PATH",
    [KEY_NIC_IRQ] = "3 to 7, 9 to 12, 14 or 15",
};

int machine_set(struct machine *m, enum machine_key key, const char *value, const char *name,
                int line, struct diag *d)
{
    int r;

    m->given[key] = true;
    m->where[key] = line;
    if (key == KEY_BOOT)
        r = bootline_from_text(m, value, true, line, d);
    else if ((r = parse_key(m, key, value, line)) == -EINVAL)
        diag_add(d, line ? m->file : NULL, line, "bad value '%s' of %s, want %s", value, name,
                 wanted[key]);
    return r;
}

static int bad_fs(struct machine *m, const char *value, const char *name, int line, struct diag *d,
                  const char *why)
{
    diag_add(d, line ? m->file : NULL, line, "bad value '%s' of %s, %s", value, name, why);
    return -EINVAL;
}

int machine_add_fs(struct machine *m, const char *value, const char *name, int line, struct diag *d)
{
    const char *colon = strrchr(value, ':');
    uint64_t replicas = 1;
    struct machine_fs *v;
    char *path = NULL, *file;
    int r;

    /* A colon that no number follows belongs to the name. */
    if (colon && isdigit((unsigned char)colon[1]) && parse_count(colon + 1, &replicas) == 0) {
        if (replicas < 1 || replicas > 1024)
            return bad_fs(m, value, name, line, d, "want 1 to 1024 replicas");
        file = strndup(value, (size_t)(colon - value));
    } else {
        file = strdup(value);
    }
    if (!file)
        return -ENOMEM;
    if (*file == 0 || m->nfs == MACHINE_MAX_FS) {
        free(file);
        return bad_fs(m, value, name, line, d,
                      m->nfs == MACHINE_MAX_FS ? "there are 16 images already" : "want a file");
    }
    r = machine_path(m, file, line, &path);
    free(file);
    if (r < 0)
        return r;
    v = realloc(m->fs, (m->nfs + 1) * sizeof(*v));
    if (!v) {
        free(path);
        return -ENOMEM;
    }
    m->fs = v;
    v[m->nfs++] = (struct machine_fs){.path = path, .replicas = (unsigned)replicas, .line = line};
    return 0;
}

int machine_from_bootline(struct machine *m, int argc, char *const argv[], struct diag *d)
{
    int r;

    m->given[KEY_BOOT] = true;
    m->where[KEY_BOOT] = 0;
    if (argc > 8192) {
        diag_add(d, NULL, 0, "boot line has %d words, at most 8192 can fit; shorten it", argc);
        return -EINVAL;
    }
    r = bootline_set(m, argc, argv);
    return r == 0 ? bootline_imply_kernel(m) : r;
}

int machine_from_file(struct machine *m, const char *path, struct diag *d)
{
    size_t n = strlen(path);

    if (n > 4 && strcmp(path + n - 4, ".cfg") == 0)
        return machine_from_cfg(m, path, d);
    return machine_from_ini(m, path, d);
}
