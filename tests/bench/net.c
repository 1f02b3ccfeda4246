/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases of two nodes: two sempervm on the loopback, joined by their bridges, beside UDP sockets of
 * two processes.  guest/apps/netbench measures inside; the exits are those of --stats over the
 * whole run, start included.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS     3u
#define RAW        25u /* samples before, and after, each run */
#define RTT_ROUNDS 100u
#define SENDERS    16u
#define RATE_LEN   32u /* batches of each sender */
#define WINDOW     8u  /* batches a sample */
#define CAP_ROUNDS 3u
#define CAPS       10u
#define PUBLISHED  22.75 /* ms, a spanning exchange of the seL4 predecessor */
#define LIMIT_S    "120"
#define CONFIG     "build/bench-net.ini"
#define LINE_MAX   (1u << 16)
#define PES_MAX    2048u

static const char *const output[2] = {"build/bench-net.0", "build/bench-net.1"};

/* What --stats and the host say of a node. */
struct node_counts {
    double programs, bridge; /* exits to user space */
    double tx_exits;         /* register stores and ports: what a driver needs to send */
    double frames;           /* sent */
    double switches;         /* of all threads of the process */
};

/* ---- two nodes ---- */

struct machine_text {
    const char *images;
    unsigned pes[2];
    const char *line[2];
};

static int write_config(const struct machine_text *t)
{
    FILE *f = fopen(CONFIG, "w");
    unsigned port = 20000 + (unsigned)getpid() % 20000, first = 1;

    if (!f)
        return -errno;
    fprintf(f, "[boot]\nimages = %s\n[run]\ntimeout = " LIMIT_S "\nprefix = no\n", t->images);
    for (unsigned k = 0; k < 2; k++) {
        fprintf(f, "[node %u]\npes = %u-%u\nlisten = 127.0.0.1:%u\n", k, first,
                first + t->pes[k] - 1, port + k);
        if (t->line[k])
            fprintf(f, "line = %s\n", t->line[k]);
        first += t->pes[k];
    }
    return fclose(f) == 0 ? 0 : -EIO;
}

static pid_t start_node(const char *number, const char *out)
{
    char *argv[] = {"build/sempervm", "run", "--stats", "--node", (char *)number, CONFIG, NULL};
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        int to = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);

        if (null < 0 || to < 0)
            _exit(126);
        dup2(null, STDIN_FILENO);
        dup2(to, STDOUT_FILENO);
        dup2(to, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* The sum of "NAME NUMBER NAME NUMBER ...". */
static double sum_of(const char *list)
{
    double sum = 0;

    for (const char *p = list; *p;) {
        char *end;
        double v = strtod(p, &end);

        if (end != p)
            sum += v;
        p = end != p ? end : p + 1;
    }
    return sum;
}

static double number_after(const char *line, const char *word)
{
    const char *at = strstr(line, word);

    return at ? strtod(at + strlen(word), NULL) : 0;
}

static int read_counts(const char *path, struct node_counts *c)
{
    static char line[LINE_MAX];
    static double exits[PES_MAX];
    FILE *f = fopen(path, "r");
    unsigned pe = 0, nic = 0;

    memset(exits, 0, sizeof(exits));
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "NIC of PE %u:", &nic) == 1 && nic < PES_MAX) {
            c->frames += number_after(line, "sent ");
            c->bridge += exits[nic];
            exits[nic] = 0;
        } else if (strncmp(line, "  exits     register", 20) == 0) {
            c->tx_exits += number_after(line, "stores ") + number_after(line, "ports ");
        } else if (strncmp(line, "  exits ", 8) == 0 && pe < PES_MAX) {
            exits[pe] = sum_of(line + 8);
        } else if (strstr(line, "mmio exits")) {
            sscanf(line, "PE %u:", &pe);
        }
    }
    for (unsigned i = 0; i < PES_MAX; i++)
        c->programs += exits[i];
    if (f)
        fclose(f);
    return nic ? 0 : -EIO;
}

/*
 * Node 1 is told by a program of node 0, or by node 0's end, that the machine is over, and ends by
 * itself: a signal would meet it at any point of that.  So only a node 0 that has failed is
 * followed by one.  The counts are added to c.
 */
static int run_nodes(const struct machine_text *t, struct node_counts c[2])
{
    struct rusage use[2] = {0};
    pid_t pid[2] = {-1, -1};
    int status[2] = {1, 1}, r = write_config(t);

    if (r == 0) {
        pid[1] = start_node("1", output[1]);
        pid[0] = start_node("0", output[0]);
    }
    for (unsigned k = 0; k < 2; k++) {
        if (k == 1 && status[0] != 0 && pid[1] > 0)
            kill(pid[1], SIGTERM);
        if (pid[k] > 0 && wait4(pid[k], &status[k], 0, &use[k]) != pid[k])
            status[k] = 1;
        if (r == 0 && read_counts(output[k], &c[k]) < 0)
            r = -EIO;
        c[k].switches += (double)(use[k].ru_nvcsw + use[k].ru_nivcsw);
    }
    unlink(CONFIG);
    return r == 0 && status[0] == 0 && status[1] == 0 ? 0 : -EIO;
}

/* SKIP: 1. */
static int missing(char *why, size_t size)
{
    if (access("build/guest/bridge", R_OK) == 0)
        return 0;
    snprintf(why, size, "no build/guest/bridge: it needs the sources of lwIP");
    return 1;
}

static int failed(char *why, size_t size)
{
    snprintf(why, size, "two nodes did not run to their end: see %s and %s", output[0], output[1]);
    return -EIO;
}

/* Runs netbench; with its output in output[0]. */
static int run_netbench(const char *what, unsigned pairs, unsigned rounds, struct node_counts c[2])
{
    char line[128];
    struct machine_text t = {"guest", {pairs, pairs}, {line, line}};

    snprintf(line, sizeof(line), "netbench %s %u %u %u", what, pairs + 1, pairs, rounds);
    return run_nodes(&t, c);
}

/* ---- net_rtt_64 ---- */

static double read_rtt(struct samples *s, double hz)
{
    static char line[LINE_MAX];
    FILE *f = fopen(output[0], "r");
    double ops = 0;

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "BENCH net_rtt_64 ", 17) != 0)
            continue;
        strtok(line, " ");
        strtok(NULL, " ");
        strtok(NULL, " "); /* our own exits are in the statistics too */
        char *word = strtok(NULL, " ");

        ops = word ? strtod(word, NULL) : 0;
        while ((word = strtok(NULL, " \n")))
            samples_add(s, strtod(word, NULL) * 1e9 / hz);
    }
    if (f)
        fclose(f);
    return ops;
}

/* Seconds of a bare exit; 0: not known. */
static double bare_exit(void)
{
    struct bare *bare = bare_open();
    double s = 0;

    for (unsigned i = 0; bare && i < 3 && s >= 0; i++)
        s = bare_batch(bare) / 1000;
    if (bare)
        bare_close(bare);
    return s > 0 ? s : 0;
}

static int case_net_rtt(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    struct node_counts c[2] = {0};
    static struct samples chain;
    double ops = 0, one, hz = bench_tsc_hz();
    int r = missing(why, size);

    for (unsigned i = 0; i < ROUNDS && r == 0; i++) {
        if (bench_udp_rtt(RAW, b) < 0 || run_netbench("rtt", 1, RTT_ROUNDS, c) < 0 ||
            (one = read_rtt(v, hz)) <= 0 || bench_net_chain(RAW, &chain) < 0 ||
            bench_udp_rtt(RAW, b) < 0)
            r = failed(why, size);
        else
            ops += one;
    }
    if (r != 0)
        return r;
    *exits = 0;
    for (unsigned k = 0; k < 2; k++) {
        printf("net_rtt_64: node %u, a round trip: %.2f exits of the program, %.2f of the bridge, "
               "%.2f frames, %.2f context switches\n",
               k, c[k].programs / ops, c[k].bridge / ops, c[k].frames / ops, c[k].switches / ops);
        *exits += (c[k].programs + c[k].bridge) / ops;
    }
    printf("net_rtt_64: %.2f exits in all; a bare one takes %.1f us now, raw UDP there and back "
           "%.1f us\n",
           *exits, bare_exit() * 1e6, samples_at(b, 0.5) / 1e3);
    printf("net_rtt_64: the chain alone (six exits, six wake-ups of four sleepers, two datagrams, "
           "no work): %.1f us, at best %.1f; the case is %.2f of it\n",
           samples_at(&chain, 0.5) / 1e3, samples_at(&chain, 0) / 1e3,
           samples_at(v, 0.5) / samples_at(&chain, 0.5));
    return 0;
}

/* ---- net_rate_64 ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/*
 * Each sender says when each of its batches was done.  What counts is the time in which all of them
 * were sending: there, a sample is the time of WINDOW batches.  The number of messages in all.
 */
static double read_rate(struct samples *s, double *retries)
{
    static char line[LINE_MAX];
    static double at[SENDERS * RATE_LEN];
    double from = 0, to = 1e300, batch = 0;
    unsigned n = 0, first = 0, senders = 0;
    FILE *f = fopen(output[0], "r");

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "RATE ", 5) != 0)
            continue;
        batch = strtod(line + 5, NULL);
        strtok(line + 5, " ");
        char *word = strtok(NULL, " ");

        *retries += word ? strtod(word, NULL) : 0;
        for (first = n; n < SENDERS * RATE_LEN && (word = strtok(NULL, " \n")); n++)
            at[n] = strtod(word, NULL);
        if (n == first)
            break;
        from = at[first] > from ? at[first] : from;
        to = at[n - 1] < to ? at[n - 1] : to;
        senders++;
    }
    if (f)
        fclose(f);
    if (senders != SENDERS || n != SENDERS * RATE_LEN)
        return 0;
    qsort(at, n, sizeof(at[0]), by_value);
    for (first = 0; first < n && at[first] < from; first++)
        ;
    for (; first + WINDOW < n && at[first + WINDOW] <= to; first += WINDOW)
        samples_add(s, (at[first + WINDOW] - at[first]) / (WINDOW * batch));
    return n * batch;
}

static int case_net_rate(struct samples *v, struct samples *b, double *exits, char *why,
                         size_t size)
{
    struct node_counts c[2] = {0};
    double sent = 0, one, retries = 0;
    int r = missing(why, size);

    for (unsigned i = 0; i < ROUNDS && r == 0; i++) {
        if (bench_udp_rate(RAW, b) < 0 || run_netbench("rate", SENDERS, RATE_LEN, c) < 0 ||
            (one = read_rate(v, &retries)) <= 0 || bench_udp_rate(RAW, b) < 0)
            r = failed(why, size);
        else
            sent += one;
    }
    if (r == 0 && (v->n == 0 || c[0].frames <= 0))
        r = failed(why, size);
    if (r != 0)
        return r;
    *exits = c[0].tx_exits / c[0].frames;
    printf("net_rate_64: %.0f messages/s, raw %.0f datagrams/s: a share of %.2f %%; %.0f refused "
           "(no room)\n",
           1e9 / samples_at(v, 0.5), 1e9 / samples_at(b, 0.5),
           100 * samples_at(b, 0.5) / samples_at(v, 0.5), retries);
    printf("net_rate_64: exits per frame sent: %.3f to transmit (stores and ports of the NIC), "
           "%.3f of the sending bridge in all\n",
           *exits, c[0].bridge / c[0].frames);
    for (unsigned k = 0; k < 2; k++)
        printf("net_rate_64: node %u, a message: %.2f exits of the programs, %.2f of the bridge, "
               "%.2f frames, %.2f context switches\n",
               k, c[k].programs / sent, c[k].bridge / sent, c[k].frames / sent,
               c[k].switches / sent);
    return 0;
}

/* ---- semperos_capbench_two_nodes ---- */

/* The client may be on either node: kernel 0 chooses. */
static unsigned read_obtains(struct samples *s, double hz)
{
    char line[1024];
    unsigned n = 0;

    for (unsigned k = 0; k < 2; k++) {
        FILE *f = fopen(output[k], "r");
        double v;

        while (f && fgets(line, sizeof(line), f))
            if (sscanf(line, "Round %*u obtain: %lf", &v) == 1) {
                samples_add(s, v * 1e3 / hz);
                n++;
            }
        if (f)
            fclose(f);
    }
    return n;
}

static int case_capbench_nodes(struct samples *v, struct samples *b, double *exits, char *why,
                               size_t size)
{
    const char *root = getenv("SEMPEROS"), *build = getenv("SEMPEROS_BUILD");
    struct node_counts c[2] = {0};
    char images[512], line[256];
    const struct machine_text t = {images, {3, 2}, {line, NULL}};
    double hz = bench_tsc_hz(), sum = 0;
    int r = missing(why, size);

    if (!root) {
        snprintf(why, size, "set SEMPEROS to a built SemperOS checkout");
        return 1;
    }
    snprintf(images, sizeof(images), "%s/build/gem5-%s/bin", root, build ? build : "release");
    snprintf(line, sizeof(line),
             "kernel kernel capbench-client %u requires=capbench-server pes=2 -- "
             "capbench-server %u daemon",
             CAPS, CAPS);
    for (unsigned i = 0; i < CAP_ROUNDS && r == 0; i++) {
        if (run_nodes(&t, c) < 0 || read_obtains(v, hz) != CAPS - 1)
            r = failed(why, size);
        samples_add(b, PUBLISHED);
    }
    if (r != 0)
        return r;
    for (unsigned i = 0; i < v->n; i++)
        sum += v->v[i];
    *exits = (c[0].programs + c[0].bridge + c[1].programs + c[1].bridge) / CAP_ROUNDS;
    printf(
        "semperos_capbench_two_nodes: avg. obtain %.2f ms; published, not measured here: %.2f ms "
        "for a spanning exchange of the seL4 predecessor\n",
        sum / v->n, PUBLISHED);
    return 0;
}

static const struct bench_case net_cases[] = {
    {"net_rtt_64",
     "64 bytes to a PE of another node and 64 back, in the sender, mean of ten; exits: of both "
     "nodes, bridges included",
     "ns", "64 bytes over UDP to another process and back", case_net_rtt},
    {"net_rate_64",
     "one 64-byte message of 16 senders, which hand over 16 at a time, to 16 PEs of another node, "
     "which wait for 16 or 5 ms; exits: to transmit, per frame (NIC register stores and ports of "
     "the sending bridge)",
     "ns", "64-byte datagrams to another process with sendmmsg and recvmmsg", case_net_rate},
    {"semperos_capbench_two_nodes",
     "obtain in the original's capbench, kernel 0 and kernel 1 on two nodes; exits: of both nodes "
     "in the whole run",
     "ms", "22.75 ms, published for a spanning exchange of the seL4 predecessor",
     case_capbench_nodes},
};
BENCH_CASES(net_cases)
