/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The INI form of the machine description.
 *
 * libinih cuts a line into section, key and value, but tells neither line numbers nor which lines
 * it could not read.  So it is fed by our own reader, which counts lines, looks at section heads,
 * and notices when a line that should have produced a key did not.  An indented line continues the
 * value above it, which long boot lines and lists of images need.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootline.h"
#include "machine_impl.h"

#define MAX_FILE (1u << 20)

enum section {
    SEC_NONE,
    SEC_MACHINE,
    SEC_BOOT,
    SEC_RUN,
    SEC_LINK,
    SEC_NIC,
    SEC_PE, /* those from here on have a number */
    SEC_NODE,
    SEC_UNKNOWN,
    SEC_COUNT
};

struct reader {
    struct machine *m;
    struct diag *d;
    const char *next; /* the rest of the text */
    int line;
    bool indented, pending; /* of this line: it begins with a blank; it must give a key */
    enum section section;
    int seen[SEC_COUNT]; /* line of a section's head */
    struct machine_pe *pe;
    int node; /* -1: its number was wrong */
    int fs_line;
    int pe_spm_line;
    const struct key *last; /* what an indented line continues */
    const struct key *now;  /* what is being set */
    char *boot;             /* the boot line so far */
    int boot_line;
    int error; /* -ENOMEM */
};

#define COMPLAIN(r, ...) diag_add((r)->d, (r)->m->file, (r)->line, __VA_ARGS__)

static const char *const section_names[SEC_COUNT] = {
    [SEC_MACHINE] = "machine", [SEC_BOOT] = "boot", [SEC_RUN] = "run",  [SEC_LINK] = "link",
    [SEC_NIC] = "nic",         [SEC_PE] = "pe",     [SEC_NODE] = "node"};

/* Keys; those of the boot line, images and single PEs have functions of their own. */
struct key {
    enum section section;
    const char *name;
    enum machine_key key;
    int (*set)(struct reader *r, const char *value);
    bool more;          /* may continue on indented lines */
    enum node_key node; /* SEC_NODE */
};

static int set_boot(struct reader *r, const char *value)
{
    char *s = NULL;

    if (!r->boot)
        r->boot_line = r->line;
    if (asprintf(&s, "%s %s", r->boot ? r->boot : "", value) < 0)
        return -ENOMEM;
    free(r->boot);
    r->boot = s;
    return 0;
}

static int set_fs(struct reader *r, const char *value)
{
    return *value ? machine_add_fs(r->m, value, "fs", r->line, r->d) : 0;
}

static int set_pe_spm(struct reader *r, const char *value)
{
    if (!r->pe)
        return 0;
    if (machine_parse_size(value, &r->pe->spm_size) == 0 && r->pe->spm_size)
        return 0;
    COMPLAIN(r, "bad value '%s' of spm, want a size like 8M", value);
    return -EINVAL;
}

static int set_node(struct reader *r, const char *value)
{
    if (r->node < 0)
        return 0;
    return machine_node_set(r->m, (unsigned)r->node, r->now->node, value, r->line, r->d);
}

static const struct key keys[] = {
    {SEC_MACHINE, "pes", KEY_PES, NULL, false, 0},
    {SEC_MACHINE, "spm", KEY_SPM, NULL, false, 0},
    {SEC_MACHINE, "dram", KEY_DRAM, NULL, false, 0},
    {SEC_BOOT, "images", KEY_IMAGES, NULL, false, 0},
    {SEC_BOOT, "fs", KEY_COUNT, set_fs, true, 0},
    {SEC_BOOT, "line", KEY_BOOT, set_boot, true, 0},
    {SEC_RUN, "log", KEY_LOG, NULL, false, 0},
    {SEC_RUN, "timeout", KEY_TIMEOUT, NULL, false, 0},
    {SEC_RUN, "stats", KEY_STATS, NULL, false, 0},
    {SEC_RUN, "prefix", KEY_PREFIX, NULL, false, 0},
    {SEC_RUN, "color", KEY_COLOR, NULL, false, 0},
    {SEC_RUN, "report", KEY_REPORT, NULL, false, 0},
    {SEC_RUN, "until-idle", KEY_UNTIL_IDLE, NULL, false, 0},
    {SEC_RUN, "rings", KEY_RINGS, NULL, false, 0},
    {SEC_RUN, "mapped", KEY_MAPPED, NULL, false, 0},
    {SEC_PE, "spm", KEY_COUNT, set_pe_spm, false, 0},
    {SEC_RUN, "pcap", KEY_PCAP, NULL, false, 0},
    {SEC_LINK, "key", KEY_LINK_KEY, NULL, false, 0},
    {SEC_LINK, "program", KEY_LINK_PROGRAM, NULL, false, 0},
    {SEC_LINK, "options", KEY_LINK_OPTIONS, NULL, false, 0},
    {SEC_NIC, "pe", KEY_NIC_PE, NULL, false, 0},
    {SEC_NIC, "mac", KEY_NIC_MAC, NULL, false, 0},
    {SEC_NIC, "udp", KEY_NIC_UDP, NULL, false, 0},
    {SEC_NIC, "peer", KEY_NIC_PEER, NULL, false, 0},
    {SEC_NIC, "stream", KEY_NIC_STREAM, NULL, false, 0},
    {SEC_NIC, "irq", KEY_NIC_IRQ, NULL, false, 0},
    {SEC_NODE, "pes", KEY_COUNT, set_node, false, NODE_PES},
    {SEC_NODE, "line", KEY_COUNT, set_node, true, NODE_BOOT},
    {SEC_NODE, "boot", KEY_COUNT, set_node, true, NODE_BOOT},
    {SEC_NODE, "memory", KEY_COUNT, set_node, false, NODE_MEMORY},
    {SEC_NODE, "bridge", KEY_COUNT, set_node, false, NODE_BRIDGE},
    {SEC_NODE, "listen", KEY_COUNT, set_node, false, NODE_LISTEN},
    {SEC_NODE, "at", KEY_COUNT, set_node, false, NODE_AT},
    {SEC_NODE, "stream", KEY_COUNT, set_node, false, NODE_STREAM},
    {SEC_NODE, "mac", KEY_COUNT, set_node, false, NODE_MAC},
    {SEC_NODE, "address", KEY_COUNT, set_node, false, NODE_ADDRESS},
};

static const struct key *find_key(enum section section, const char *name)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* ---- sections -------------------------------------------------------------------------------- */

static void add_pe(struct reader *r, unsigned pe)
{
    struct machine *m = r->m;
    struct machine_pe *v;

    for (unsigned i = 0; i < m->npe; i++)
        if (m->pe[i].pe == pe) {
            COMPLAIN(r, "section [pe %u] is there already, in line %d; remove one", pe,
                     m->pe[i].line);
            return;
        }
    v = realloc(m->pe, (m->npe + 1) * sizeof(*v));
    if (!v) {
        r->error = -ENOMEM;
        return;
    }
    m->pe = v;
    r->pe = &v[m->npe++];
    *r->pe = (struct machine_pe){.pe = pe, .line = r->line};
}

static void begin_pe(struct reader *r, const char *number)
{
    char *end;
    unsigned long n = strtoul(number, &end, 10);

    r->section = SEC_PE;
    r->pe = NULL;
    r->pe_spm_line = 0;
    if (!isdigit((unsigned char)*number) || *end || n < 1 || n > MACHINE_MAX_PES)
        COMPLAIN(r, "section [pe %s] wants the number of a PE from 1 to %u", number,
                 MACHINE_MAX_PES);
    else
        add_pe(r, (unsigned)n);
}

static void begin_node(struct reader *r, const char *number)
{
    struct machine *m = r->m;
    char *end;
    unsigned long k = strtoul(number, &end, 10);

    r->section = SEC_NODE;
    r->node = -1;
    if (!isdigit((unsigned char)*number) || *end || k >= MACHINE_MAX_NODES) {
        COMPLAIN(r, "section [node %s] wants the number of a node from 0 to %u", number,
                 MACHINE_MAX_NODES - 1);
    } else if (m->node[k].there) {
        COMPLAIN(r, "section [node %lu] is there already, in line %d; remove one", k,
                 m->node[k].line);
    } else {
        r->node = (int)k;
        m->node[k].there = true;
        m->node[k].line = r->line;
        if (k >= m->nnodes)
            m->nnodes = (unsigned)k + 1;
    }
}

static void begin_section(struct reader *r, const char *name)
{
    r->last = NULL;
    if (strncmp(name, "node ", 5) == 0) {
        begin_node(r, name + 5 + strspn(name + 5, " \t"));
        return;
    }
    if (strncmp(name, "pe ", 3) == 0) {
        begin_pe(r, name + 3 + strspn(name + 3, " \t"));
        return;
    }
    for (int s = SEC_MACHINE; s < SEC_PE; s++) {
        if (strcmp(name, section_names[s]) != 0)
            continue;
        r->section = (enum section)s;
        if (r->seen[s])
            COMPLAIN(r, "section [%s] is there already, in line %d; join the two", name,
                     r->seen[s]);
        else
            r->seen[s] = r->line;
        return;
    }
    r->section = SEC_UNKNOWN;
    COMPLAIN(r,
             "unknown section [%s], want [machine], [boot], [run], [link], [nic], [pe N] or "
             "[node K]",
             name);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void end_line(struct reader *r)
{
    if (r->pending)
        COMPLAIN(r, "neither a [section] nor key = value; comments begin with ; or #");
    r->pending = false;
}

static void look_at(struct reader *r, const char *line, size_t n)
{
    size_t blank = strspn(line, " \t\r\v\f");
    const char *end;
    char name[64];

    r->indented = blank > 0;
    if (blank >= n || line[blank] == ';' || line[blank] == '#')
        return;
    if (line[blank] != '[' || (r->indented && r->last)) {
        r->pending = true;
        return;
    }
    end = memchr(line, ']', n);
    if (!end) {
        COMPLAIN(r, "section head without ]");
        r->section = SEC_UNKNOWN;
        r->last = NULL;
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(end - line - (ssize_t)blank - 1), line + blank + 1);
    begin_section(r, name);
}

/* For libinih: the next line into BUF of SIZE bytes.  A line that does not fit is left out. */
static char *read_line(char *buf, int size, void *arg)
{
    struct reader *r = arg;
    size_t n;

    end_line(r);
    if (*r->next == 0)
        return NULL;
    if (r->line == 0 && strncmp(r->next, "\xEF\xBB\xBF", 3) == 0)
        r->next += 3;
    n = strcspn(r->next, "\n");
    r->line++;
    if (n + 3 > (size_t)size) {
        COMPLAIN(r, "line is longer than %d characters; continue it on an indented line", size - 3);
        snprintf(buf, (size_t)size, "\n");
    } else {
        snprintf(buf, (size_t)size, "%.*s\n", (int)n, r->next);
        look_at(r, buf, n);
    }
    r->next += n + (r->next[n] == '\n');
    return buf;
}

static bool repeated(struct reader *r, const struct key *k)
{
    int before = k->set == set_fs       ? r->fs_line
                 : k->set == set_boot   ? r->boot_line
                 : k->set == set_pe_spm ? r->pe_spm_line
                 : k->set == set_node   ? (r->node < 0 ? 0 : r->m->node[r->node].where[k->node])
                                        : r->m->where[k->key];

    if (before == 0)
        return false;
    COMPLAIN(r, "%s is there already, in line %d; remove one", k->name, before);
    return true;
}

static int set_key(struct reader *r, const struct key *k, const char *value)
{
    if (k->set == set_fs)
        r->fs_line = r->line;
    if (k->set == set_pe_spm)
        r->pe_spm_line = r->line;
    r->now = k;
    if (k->set)
        return k->set(r, value);
    return machine_set(r->m, k->key, value, k->name, r->line, r->d);
}

static int continue_key(struct reader *r, const char *value)
{
    r->now = r->last;
    if (r->last->more)
        return r->last->set(r, value);
    COMPLAIN(r, "an indented line continues %s, which has one line; remove the blanks before it",
             r->last->name);
    return -EINVAL;
}

static int handle(void *arg, const char *section, const char *name, const char *value)
{
    struct reader *r = arg;
    const struct key *k;
    int e = 0;

    (void)section; /* cut to 50 characters by libinih; look_at() knows better */
    r->pending = false;
    if (r->indented && r->last) {
        e = continue_key(r, value);
    } else if (r->section == SEC_NONE) {
        COMPLAIN(r, "'%s' stands before the first section; begin with [machine]", name);
    } else if (r->section != SEC_UNKNOWN) {
        r->last = NULL;
        k = find_key(r->section, name);
        if (!k)
            COMPLAIN(r, "unknown key '%s' in [%s]; sempervm --help names the manual", name,
                     section_names[r->section]);
        else if (!repeated(r, k)) {
            e = set_key(r, k, value);
            r->last = k;
        }
    }
    if (e == -ENOMEM)
        r->error = e;
    return 1;
}

int machine_from_text(struct machine *m, const char *name, const char *text, struct diag *d)
{
    struct reader r = {.m = m, .d = d, .next = text};
    size_t before = diag_count(d);

    free(m->file);
    m->file = strdup(name);
    if (!m->file)
        return -ENOMEM;
    if (ini_parse_stream(read_line, &r, handle, &r) == -2)
        r.error = -ENOMEM;
    if (r.boot && !r.error && machine_set(m, KEY_BOOT, r.boot, "line", r.boot_line, d) == -ENOMEM)
        r.error = -ENOMEM;
    free(r.boot);
    if (r.error)
        return r.error;
    return diag_count(d) > before ? -EINVAL : 0;
}

int machine_from_ini(struct machine *m, const char *path, struct diag *d)
{
    size_t size;
    char *text;
    int r = read_whole(path, MAX_FILE, &text, &size);

    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        diag_add(d, NULL, 0, "cannot read machine file %s: %s; name an INI file or a .cfg", path,
                 r == -EFBIG ? "larger than 1 MiB" : strerror(-r));
        return -EINVAL;
    }
    if (strlen(text) != size) {
        diag_add(d, path, 0, "is no text file; name an INI file or a SemperOS .cfg");
        r = -EINVAL;
    } else {
        r = machine_from_text(m, path, text, d);
    }
    free(text);
    return r;
}
