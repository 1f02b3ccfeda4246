/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities as text and as a graph.  Names come from guests: whatever is not plain is a dot.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "../include/capdump.h"
#include "../include/kernelcalls.h"
#include "caps.h"

#define DEEPEST 24u /* levels that are indented */

static const char *plain(const char *from, char to[40])
{
    unsigned i;

    for (i = 0; i < 39 && from[i]; i++)
        to[i] = isascii((unsigned char)from[i]) && isprint((unsigned char)from[i]) &&
                        !strchr("\"\\<>{}|", from[i])
                    ? from[i]
                    : '.';
    to[i] = 0;
    return to;
}

/* What the capability stands for. */
static void describe(const struct caps_cap *p, char *to, size_t size)
{
    char name[40];

    switch (p->type) {
    case DDL_MSGCAP:
        snprintf(to, size, "msg to PE %u endpoint %u, label %#" PRIx64 ", %" PRIu64 " bytes",
                 p->to_pe, p->ep, p->addr, p->size);
        break;
    case DDL_MEMCAP:
        snprintf(to, size, "mem %c%c%c of PE %u, %#" PRIx64 "+%#" PRIx64, p->perms & 1 ? 'r' : '-',
                 p->perms & 2 ? 'w' : '-', p->perms & 4 ? 'x' : '-', p->to_pe, p->addr, p->size);
        break;
    case DDL_VPECAP:
        snprintf(to, size, "vpe on PE %u", p->to_pe);
        break;
    case DDL_SRVCAP:
        snprintf(to, size, "service %s", plain(p->service, name));
        break;
    case DDL_SESSCAP:
        snprintf(to, size, "session %#" PRIx64 " with %s", p->addr,
                 p->service[0] ? plain(p->service, name) : "another kernel's service");
        break;
    default:
        snprintf(to, size, "reserved");
    }
}

static void print_vpe(const struct caps_vpe *v, FILE *out)
{
    char name[40];

    fprintf(out, "PE %u %s, ", v->pe, plain(v->name, name));
    if (v->state == CAPDUMP_ENDED)
        fprintf(out, "ended with %d", (int)v->exitcode);
    else
        fputs(v->state == CAPDUMP_RUNNING ? "running" : "created", out);
    fprintf(out, ": %u capabilities", v->ncaps);
}

static void print_cap(const struct caps *c, const struct caps_cap *p, unsigned depth, FILE *out)
{
    char what[160];

    describe(p, what, sizeof(what));
    if (depth > DEEPEST)
        fprintf(out, "%*s(%u)", (int)(2 * DEEPEST), "", depth);
    else
        fprintf(out, "%*s", (int)(2 * depth), "");
    fprintf(out, "PE%u:%u %s [kernel %u, key %016" PRIx64 "]", p->pe, p->sel, what,
            c->kernel[p->kernel].id, p->key);
    if (p->orphan)
        fprintf(out, " from PE%u:%u, which nobody showed", ddl_pe(p->parent_key),
                ddl_sel(p->parent_key));
    fputc('\n', out);
    for (uint32_t i = p->strangers; i != CAPS_NONE; i = c->kid[i].next)
        fprintf(out, "%*sPE%u:%u, which nobody showed [key %016" PRIx64 "]\n",
                (int)(2 * (depth < DEEPEST ? depth + 1 : DEEPEST)), "", ddl_pe(c->kid[i].key),
                ddl_sel(c->kid[i].key), c->kid[i].key);
}

/* Without recursion: chains may be as long as there are capabilities. */
static void print_tree(const struct caps *c, uint32_t root, FILE *out)
{
    uint32_t at = root;
    unsigned depth = 0;

    while (at != CAPS_NONE) {
        print_cap(c, &c->cap[at], depth, out);
        if (c->cap[at].child != CAPS_NONE) {
            at = c->cap[at].child;
            depth++;
            continue;
        }
        while (at != root && c->cap[at].next == CAPS_NONE) {
            at = c->cap[at].parent;
            depth--;
        }
        at = at == root ? CAPS_NONE : c->cap[at].next;
    }
}

static void print_kernel(const struct caps *c, uint32_t k, FILE *out)
{
    const struct caps_kernel *n = &c->kernel[k];

    fprintf(out, "kernel %u on PE %u: %u VPEs, %u capabilities", n->id, n->pe, n->nvpes, n->ncaps);
    if (n->revocations)
        fprintf(out, ", %" PRIu64 " revocations under way", n->revocations);
    fputc('\n', out);
    for (uint32_t v = 0; v < c->nvpes; v++)
        if (c->vpe[v].kernel == k) {
            fputs("  ", out);
            print_vpe(&c->vpe[v], out);
            fputc('\n', out);
        }
}

static void print_oddities(const struct caps *c, FILE *out)
{
    if (c->orphans || c->strangers)
        fprintf(
            out,
            "%u capabilities derived from, and %u children at, what nobody showed: under way, or "
            "of another node\n",
            c->orphans, c->strangers);
    if (c->doubles)
        fprintf(out, "%u keys occur more than once\n", c->doubles);
    if (c->circles)
        fprintf(out, "%u capabilities hang on each other in circles and are not shown\n",
                c->circles);
}

void caps_print_text(const struct caps *c, FILE *out)
{
    for (uint32_t k = 0; k < c->nkernels; k++)
        print_kernel(c, k, out);
    fputc('\n', out);
    for (uint32_t i = 0; i < c->ncaps; i++)
        if (c->cap[i].parent == CAPS_NONE)
            print_tree(c, i, out);
    print_oddities(c, out);
}

/* ---- dot ---- */

static void dot_vpe(const struct caps *c, uint32_t v, uint32_t *cap, FILE *out)
{
    char what[160];

    fprintf(out, "    subgraph cluster_v%u {\n      label=\"", v);
    print_vpe(&c->vpe[v], out);
    fputs("\";\n", out);
    for (; *cap < c->ncaps && c->cap[*cap].vpe == v; ++*cap) {
        describe(&c->cap[*cap], what, sizeof(what));
        fprintf(out, "      c%u [label=\"%u: %s\"];\n", *cap, c->cap[*cap].sel, what);
    }
    fputs("    }\n", out);
}

/* Solid within a kernel, dashed between two; dotted to what nobody showed. */
static void dot_edges(const struct caps *c, FILE *out)
{
    for (uint32_t i = 0; i < c->ncaps; i++) {
        const struct caps_cap *p = &c->cap[i];

        if (p->parent != CAPS_NONE)
            fprintf(out, "  c%u -> c%u%s;\n", p->parent, i,
                    c->cap[p->parent].kernel == p->kernel ? "" : " [style=dashed]");
        if (p->orphan)
            fprintf(out, "  p%u [label=\"PE%u:%u\", style=dotted];\n  p%u -> c%u [style=dotted];\n",
                    i, ddl_pe(p->parent_key), ddl_sel(p->parent_key), i, i);
        for (uint32_t k = p->strangers; k != CAPS_NONE; k = c->kid[k].next)
            fprintf(out, "  s%u [label=\"PE%u:%u\", style=dotted];\n  c%u -> s%u [style=dotted];\n",
                    k, ddl_pe(c->kid[k].key), ddl_sel(c->kid[k].key), i, k);
    }
}

void caps_print_dot(const struct caps *c, FILE *out)
{
    uint32_t cap = 0, v = 0;

    fputs("digraph capabilities {\n  rankdir=LR;\n  node [shape=box];\n", out);
    for (uint32_t k = 0; k < c->nkernels; k++) {
        fprintf(out, "  subgraph cluster_k%u {\n    label=\"kernel %u on PE %u\";\n", k,
                c->kernel[k].id, c->kernel[k].pe);
        for (; v < c->nvpes && c->vpe[v].kernel == k; v++)
            dot_vpe(c, v, &cap, out);
        fputs("  }\n", out);
    }
    dot_edges(c, out);
    fputs("}\n", out);
}
