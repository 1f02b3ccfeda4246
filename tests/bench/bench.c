/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The suite: runs the cases (those whose names begin with an argument, if there are any), prints a
 * table, writes build/bench.json.  A case beyond its budget is marked OVER; that is a result, not a
 * failure.  Exit status 0, or 3 when a case could not run.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../vmm/doctor.h"

static const struct bench_case cases[] = {
    {"trap_command", "a store to COMMAND (FETCH), from the guest's store to its next instruction",
     "us", "a bare KVM_RUN loop taking the same exit", case_trap},
    {"msg_rtt_64",
     "64 bytes to another PE and 64 back, in the sender: from before SEND to after ACK", "ns",
     "a cache line there and back between two native threads", case_msg_rtt},
    {"msg_rtt_64_pipe", "as msg_rtt_64", "ns", "64 bytes through a pipe and back",
     case_msg_rtt_pipe},
    {"msg_rtt_64_socket", "as msg_rtt_64", "ns", "64 bytes through a Unix socket and back",
     case_msg_rtt_socket},
    {"msg_rtt_64_eventfd", "as msg_rtt_64", "ns", "an eventfd there and one back",
     case_msg_rtt_eventfd},
    {"msg_rtt_64_trap", "as msg_rtt_64, with --rings no", "ns",
     "a cache line there and back between two native threads", case_msg_rtt_trap},
    {"msg_tput_64", "one 64-byte message of many in one direction, in the sender", "ns",
     "a ring of 32 slots between two native threads", case_msg_tput},
    {"msg_tput_64_pipe", "as msg_tput_64", "ns", "64 bytes into a pipe that is read",
     case_msg_tput_pipe},
    {"msg_tput_64_trap", "as msg_tput_64, with --rings no", "ns",
     "a ring of 32 slots between two native threads", case_msg_tput_trap},
    {"wake_sleeper", "as msg_rtt_64, to a PE that sleeps", "ns", "an eventfd there and one back",
     case_wake_sleeper},
    {"syscall_noop", "NOOP, in the VPE", "ns", "msg_rtt_64 of the same run", case_syscall_noop},
    {"syscall_noop_trap", "NOOP, in the VPE, with --rings no", "ns",
     "msg_rtt_64_trap of the same run", case_syscall_noop_trap},
    {"exchange_local", "EXCHANGE of one capability, in the VPE", "ns",
     "3,597 cycles, published for simulated DTU hardware", case_exchange_local},
    {"revoke_local", "REVOKE of one capability's child, in the VPE", "ns",
     "1,997 cycles, published for simulated DTU hardware", case_revoke_local},
    {"ep_configure", "ACTIVATE of an endpoint with a live channel, in the VPE", "ns",
     "a bare KVM_RUN loop taking one exit", case_ep_configure},
    {"boot_640", "640 PEs, from process start over all of them waiting in idle to process end",
     "ms", "a bare loop creating 640 VMs with one vCPU and one memory slot, to process end",
     case_boot_640},
    {"mem_per_pe", "host memory, kernel memory included, per loaded and waiting PE of 640", "MiB",
     "1 MiB", case_mem_per_pe},
    {"boot_first_line", "run-kernel, from process start to the kernel's first line", "ms",
     "a bare loop creating as many VMs, to the last one created", case_first_line},
    {"seeded_run", "run-kernel by a seed, from process start to its end", "ms",
     "an ordinary run of it", case_seeded},
    {"traced_run", "an ordinary run of run-kernel that records a trace", "ms",
     "an ordinary run of it", case_traced},
    {"net_rtt_64",
     "64 bytes to a PE of another node and 64 back, in the sender, mean of ten; exits: of both "
     "nodes, bridges included",
     "ns", "64 bytes over UDP to another process and back", case_net_rtt},
    {"net_rate_64",
     "one 64-byte message of 16 senders, which hand over ten at a time (VREG_LIST), to 16 PEs of "
     "another node, which wait for ten or 5 ms; exits: to transmit, per frame (NIC register stores "
     "and ports of the sending bridge)",
     "ns", "64-byte datagrams to another process with sendmmsg and recvmmsg", case_net_rate},
    {"semperos_capbench_two_nodes",
     "obtain in the original's capbench, kernel 0 and kernel 1 on two nodes; exits: of both nodes "
     "in the whole run",
     "ms", "22.75 ms, published for a spanning exchange of the seL4 predecessor",
     case_capbench_nodes},
    {"semperos_capbench_exits",
     "MMIO exits of the first kernel in the original's capbench, two kernels, 10 capabilities, to "
     "the "
     "machine's end; about 340 more when the server gets to its own revocations before that end",
     "exits", "1,500 exits", case_capbench},
};

#define BUDGETS "tests/bench/budgets"

struct result {
    int status; /* 0 ran, 1 skipped, negative failed, 2 not asked for */
    double budget;
    struct samples value, base;
    double exits, ratio;
    char why[256];
};

double bench_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void samples_add(struct samples *s, double v)
{
    if (s->n < BENCH_SAMPLES)
        s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double samples_at(struct samples *s, double q)
{
    if (s->n == 0)
        return 0;
    qsort(s->v, s->n, sizeof(s->v[0]), compare);
    return s->v[(unsigned)(q * (s->n - 1) + 0.5)];
}

static void read_line(const char *cmd, char *buf, size_t size)
{
    FILE *f = popen(cmd, "r");

    if (!f || !fgets(buf, (int)size, f))
        snprintf(buf, size, "unknown");
    buf[strcspn(buf, "\n\"\\")] = 0;
    if (f)
        pclose(f);
}

static void write_json(const char *path, struct result *r, unsigned n)
{
    char commit[80], cpu[128];
    FILE *f = fopen(path, "w");
    const char *sep = "";
    unsigned i;

    if (!f) {
        fprintf(stderr, "bench: cannot write %s: is there a build folder?\n", path);
        exit(3);
    }
    read_line("git rev-parse HEAD 2>/dev/null", commit, sizeof(commit));
    read_line("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1", cpu, sizeof(cpu));
    fprintf(f, "{\"commit\": \"%s\", \"cpu\": \"%s\", \"kvm\": \"%s\", \"cores\": %ld,\n", commit,
            cpu, doctor_kvm_flavour(), sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(f, " \"cases\": [");
    for (i = 0; i < n; i++) {
        const struct bench_case *c = &cases[i];

        if (r[i].status != 0)
            continue;
        fprintf(f,
                "%s\n  {\"name\": \"%s\", \"ratio\": %.4f, \"exits\": %.3f, \"n\": %u, "
                "\"min\": %.4f, \"p50\": %.4f, \"p99\": %.4f, \"unit\": \"%s\",\n"
                "   \"baseline\": {\"what\": \"%s\", \"n\": %u, \"p50\": %.4f, \"p99\": %.4f},\n"
                "   \"budget\": %.2f, \"interval\": \"%s\"}",
                sep, c->name, r[i].ratio, r[i].exits, r[i].value.n, samples_at(&r[i].value, 0),
                samples_at(&r[i].value, 0.5), samples_at(&r[i].value, 0.99), c->unit, c->baseline,
                r[i].base.n, samples_at(&r[i].base, 0.5), samples_at(&r[i].base, 0.99), r[i].budget,
                c->interval);
        sep = ",";
    }
    fprintf(f, "\n]}\n");
    fclose(f);
}

/* Hundreds of VMs need more descriptors than the usual soft limit. */
static void raise_limits(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* The ratio that the budget file allows; none: 0, so that the case shows as over. */
static double budget_of(const char *name)
{
    FILE *f = fopen(BUDGETS, "r");
    char line[256], word[64];
    double ratio = 0, v;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%63s %lf", word, &v) == 2 && strcmp(word, name) == 0)
            ratio = v;
    if (f)
        fclose(f);
    return ratio;
}

static int run_case(const struct bench_case *c, struct result *r)
{
    r->budget = budget_of(c->name);
    r->status = c->run(&r->value, &r->base, &r->exits, r->why, sizeof(r->why));
    if (r->status > 0) {
        printf("%-24s SKIP %s\n", c->name, r->why);
        return 0;
    }
    if (r->status < 0) {
        printf("%-24s FAILED %s\n", c->name, r->why);
        return 3;
    }
    r->ratio = samples_at(&r->value, 0.5) / samples_at(&r->base, 0.5);
    printf("%-24s %5u %10.3f %10.3f %10.3f %-6s %10.3f %7.2f %7.2f %s\n", c->name, r->value.n,
           samples_at(&r->value, 0), samples_at(&r->value, 0.5), samples_at(&r->value, 0.99),
           c->unit, samples_at(&r->base, 0.5), r->ratio, r->budget,
           r->ratio <= r->budget ? "ok" : "OVER");
    fflush(stdout);
    return 0;
}

/* Without names: all. */
static bool asked_for(const char *name, int argc, char **argv)
{
    bool any = argc < 2;

    for (int i = 1; i < argc; i++)
        any |= strncmp(argv[i], name, strlen(argv[i])) == 0;
    return any;
}

int main(int argc, char **argv)
{
    static struct result r[sizeof(cases) / sizeof(cases[0])];
    unsigned i, n = sizeof(cases) / sizeof(cases[0]);
    int status = 0, s;

    raise_limits();
    printf("KVM flavour %s, %ld cores\n%-24s %5s %10s %10s %10s %-6s %10s %7s %7s\n",
           doctor_kvm_flavour(), sysconf(_SC_NPROCESSORS_ONLN), "case", "n", "min", "p50", "p99",
           "unit", "baseline", "ratio", "budget");
    for (i = 0; i < n; i++) {
        r[i].status = 2;
        if (!asked_for(cases[i].name, argc, argv))
            continue;
        s = run_case(&cases[i], &r[i]);
        status = s > status ? s : status;
    }
    write_json("build/bench.json", r, n);
    return status;
}
