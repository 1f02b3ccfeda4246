/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recording and comparing.  A seeded run always has a trace, if only for its hash.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched.h"
#include "sched_seed.h"
#include "trace_hash.h"

#define NOBODY 0xFFFFu

/* What the hash of a machine is made of: everything that the course of a run depends on. */
static uint64_t machine_hash(const struct node *n)
{
    const struct machine *m = n->desc;
    uint64_t h = seed_mix(m->pes, m->spm_size, m->dram_size, (uint64_t)m->argc);
    unsigned i;
    size_t k;
    int a;

    for (a = 0; a < m->argc; a++)
        for (k = 0; k <= strlen(m->argv[a]); k++)
            h = seed_mix(h, (uint8_t)m->argv[a][k], 0, 0);
    for (i = 0; i < n->boot.nmod; i++)
        for (k = 0; k + 8 <= n->boot.mod[i].size; k += 8) {
            uint64_t w;

            memcpy(&w, n->boot.mod[i].data + k, 8);
            h = (h ^ w) * 0x100000001B3ull;
            h ^= h >> 32;
        }
    for (i = 0; i < m->npe; i++)
        h = seed_mix(h, m->pe[i].pe, m->pe[i].spm_size, 0);
    for (i = 0; i < m->nfs; i++)
        h = seed_mix(h, m->fs[i].size, m->fs[i].replicas, 0);
    return h;
}

static void on_event(void *arg, const struct vdtu_event *e)
{
    struct trace_record r = {.pe = e->pe,
                             .vpe = e->vpe,
                             .op = e->op,
                             .ep = e->ep,
                             .peer = e->peer,
                             .label = e->label,
                             .offset = e->offset,
                             .len = e->len,
                             .result = e->result,
                             .hash = e->hash,
                             .first = e->first};

    node_record(arg, &r);
}

static uint32_t highest_pe(struct node **n, unsigned count)
{
    uint32_t most = 0;
    unsigned k, i;

    for (k = 0; k < count; k++)
        for (i = 0; i < n[k]->npes; i++)
            if (n[k]->pes[i].id > most)
                most = n[k]->pes[i].id;
    return most;
}

static int open_trace(struct recording *rec, struct node **n, unsigned count, char *err,
                      size_t errsize)
{
    const struct seed_opts *o = &n[0]->desc->seed;
    struct trace_header h = {.magic = TRACE_MAGIC,
                             .version = TRACE_VERSION,
                             .flags = o->on ? TRACE_SEEDED : 0,
                             .seed = o->seed,
                             .pes = highest_pe(n, count),
                             .args_len = (uint32_t)o->args_len};
    unsigned k;

    h.machine = machine_hash(n[0]);
    for (k = 1; k < count; k++)
        h.machine = seed_mix(h.machine, machine_hash(n[k]), k, 0);
    rec->ops_hash = rec->payload_hash = TRACE_HASH_INIT;
    if (o->compare && o->machine != h.machine) {
        snprintf(err, errsize,
                 "the trace is of another machine: its programs or sizes have "
                 "changed since it was recorded");
        return -EINVAL;
    }
    return trace_open(&rec->trace, o->trace, &h, o->args, o->on, err, errsize);
}

void record_node(struct node *n)
{
    unsigned i;

    if (!n->rec)
        return;
    vdtu_noc_trace(n->noc, on_event, n);
    for (i = 0; i < n->npes && n->desc->nnodes; i++)
        node_record(n, &(struct trace_record){.op = TR_NODE,
                                              .pe = n->pes[i].id,
                                              .ep = (uint8_t)n->desc->self,
                                              .peer = NOBODY,
                                              .result = n->life});
}

int record_open(struct node **n, unsigned count, char *err, size_t errsize)
{
    const struct seed_opts *o = &n[0]->desc->seed;
    struct recording *rec;
    unsigned k;
    int r;

    if (!o->on && !o->trace)
        return 0;
    rec = calloc(1, sizeof(*rec));
    if (!rec) {
        snprintf(err, errsize, "out of memory for the trace; end other programs");
        return -ENOMEM;
    }
    r = open_trace(rec, n, count, err, errsize);
    if (r < 0) {
        free(rec);
        return r;
    }
    for (k = 0; k < count; k++)
        n[k]->rec = rec;
    for (k = 0; k < count; k++)
        record_node(n[k]);
    return 0;
}

int record_close(struct node **n, unsigned count)
{
    const struct seed_opts *o = &n[0]->desc->seed;
    struct recording *rec = n[0]->rec;
    unsigned k;
    int r;

    if (!rec)
        return 0;
    if (o->on)
        printf("payload hash %016" PRIx64 "\ntrace hash %016" PRIx64 "\n", rec->payload_hash,
               rec->ops_hash);
    if (rec->payload_differences)
        fprintf(stderr, "sempervm: %zu records had another payload than was recorded\n",
                rec->payload_differences);
    r = trace_close(rec->trace);
    for (k = 0; k < count; k++)
        n[k]->rec = NULL;
    free(rec);
    if (r < 0)
        fprintf(stderr,
                "sempervm: cannot write the trace %s: %s: free space there or name another "
                "file\n",
                o->trace, strerror(-r));
    return r;
}

/*
 * The course of a run, apart from what its messages say.  The original's messages carry padding
 * that nobody wrote, bits of old stack among it, and so readings of the time-stamp counter, which
 * KVM cannot hide everywhere: payloads have a hash of their own.
 */
static struct trace_record without_payload(const struct trace_record *r)
{
    struct trace_record copy = *r;

    copy.hash = copy.first = 0;
    return copy;
}

static void hash_record(struct recording *rec, const struct trace_record *r)
{
    struct trace_record ops = without_payload(r);

    rec->ops_hash = trace_hash_record(rec->ops_hash, &ops);
    rec->payload_hash = trace_hash_word(trace_hash_word(rec->payload_hash, r->hash), r->first);
}

/* The recorded run goes on where this one does, record by record. */
static void compare(struct node *n, const struct trace_record *r)
{
    const struct seed_opts *o = &n->desc->seed;
    struct recording *rec = n->rec;
    int end = atomic_load(&n->end);
    const struct trace_record *want;
    struct trace_record a, b;

    /* What comes after the user or the host ended the run is not part of it. */
    if (rec->compared >= o->nlist || rec->differs || end == NODE_TIMEOUT || end == NODE_SIGNAL ||
        end == NODE_STOPPED || end == NODE_HOST)
        return;
    want = &o->list[rec->compared++];
    a = without_payload(want);
    b = without_payload(r);
    if (memcmp(&a, &b, sizeof(a)) == 0) {
        rec->payload_differences += want->hash != r->hash || want->first != r->first;
        return;
    }
    rec->difference[0] = *want;
    rec->difference[1] = *r;
    rec->differs = true;
    node_finish(n, NODE_DIFFERS, 0);
}

void node_record(struct node *n, struct trace_record *r)
{
    const struct seed_opts *o = &n->desc->seed;

    if (!n->rec)
        return;
    r->time = n->sched->now(n);
    r->step = sched_seed_steps(n);
    if (o->on && o->compare)
        compare(n, r);
    if (o->on) /* one thread */
        hash_record(n->rec, r);
    trace_add(n->rec->trace, r);
}

static void print_record(const char *what, const struct trace_record *r, FILE *out)
{
    fprintf(out,
            "  %-8s step %" PRIu64 " PE %u VPE %u op %u ep %u peer %u label %#" PRIx64
            " offset %#" PRIx64 " len %u result %u hash %016" PRIx64 "\n",
            what, r->step, r->pe, r->vpe, r->op, r->ep, r->peer, r->label, r->offset, r->len,
            r->result, r->hash);
}

void record_difference(const struct node *n, FILE *out)
{
    fprintf(out, "sempervm: the run differs from the recorded one at record %zu\n",
            n->rec->compared);
    print_record("recorded", &n->rec->difference[0], out);
    print_record("now", &n->rec->difference[1], out);
}
