/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.  What follows `--` is the boot line and cut off before argp sees it.  Options
 * override the machine file wherever they stand, so they are collected first and applied behind it.
 */
#include "cli.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "doctor.h"
#include "explore.h"
#include "explore_impl.h"
#include "machine.h"
#include "replay.h"
#include "run.h"
#include "trace_cmd.h"
#include "wire.h"

/* Keys of options: 0x100 and the machine's key; those below have no key of their own. */
#define OPT(key) (0x100 + (key))
enum {
    OPT_FS = 0x200,
    OPT_SEED,
    OPT_POLICY,
    OPT_FAULTS,
    OPT_SCHEDULE,
    OPT_TRACE,
    OPT_CONTROL,
    OPT_NODE,
    OPT_PEER,
    OPT_LISTEN,
    OPT_NIC,
    OPT_NO_PREFIX
};

struct option_use {
    int key;
    const char *value;
};

struct cli {
    const char *file;
    char **boot; /* the words behind `--` */
    int nboot;   /* -1: no `--` */
    struct option_use *use;
    unsigned nuse;
    char *args; /* the words behind `run`, with their NULs */
    size_t args_len;
    const struct seed_opts *recorded; /* replay: what of the run is already decided */
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "The machine:", 1},
    {"pes", OPT(KEY_PES), "N", 0, "Core PEs, 1 to 1022 (16, or what the boot line needs)", 1},
    {"spm", OPT(KEY_SPM), "SIZE", 0, "Local memory of each PE (8M)", 1},
    {"dram", OPT(KEY_DRAM), "SIZE", 0, "Memory of the memory PE (8G)", 1},
    {"images", OPT(KEY_IMAGES), "DIR", 0, "Folder of the programs (guest/ next to sempervm)", 1},
    {"fs", OPT_FS, "FILE[:N]", 0, "File-system image, N copies of it; may be repeated", 1},
    {"nic", OPT_NIC, "LIST", 0,
     "A NIC: pe=N,udp=HOST:PORT,peer=HOST:PORT or pe=N,stream=...; irq=N: interrupts", 1},
    {NULL, 0, NULL, 0, "One of several nodes:", 2},
    {"node", OPT_NODE, "K", 0, "Which one; auto: by Slurm, Open MPI or host name", 2},
    {"listen", OPT_LISTEN, "HOST:PORT", 0, "Its own UDP address", 2},
    {"peer", OPT_PEER, "K=HOST:PORT", 0, "Where node K is; may be repeated", 2},
    {NULL, 0, NULL, 0, "The run:", 3},
    {"timeout", OPT(KEY_TIMEOUT), "SECONDS", 0, "End with status 4 after that time", 3},
    {"until-idle", OPT(KEY_UNTIL_IDLE), NULL, 0, "End with status 0 when all PEs wait", 3},
    {"rings", OPT(KEY_RINGS), "WHEN", 0, "Messages without exits: yes, no", 3},
    {"mapped", OPT(KEY_MAPPED), "WHEN", 0, "Memory gates without exits: yes, no", 3},
    {"seed", OPT_SEED, "N", 0, "Make the run a function of this number", 3},
    {"policy", OPT_POLICY, "NAME", 0, "With --seed: uniform (default), rr, pct[:CHANGES[:STEPS]]",
     3},
    {"faults", OPT_FAULTS, "LIST", 0,
     "With --seed: refuse, delay, spurious, crash = SHARE or PE@STEP", 3},
    {"schedule", OPT_SCHEDULE, "TRACE", OPTION_HIDDEN, "Follow its switches (explore)", 3},
    {"trace", OPT_TRACE, "FILE", 0, "Record every operation there", 3},
    {"pcap", OPT(KEY_PCAP), "FILE", 0, "Record the NIC's frames there (pcapng)", 3},
    {"control", OPT_CONTROL, "PATH", 0, "Offer a socket there for sempervm caps", 3},
    {NULL, 0, NULL, 0, "Output:", 4},
    {"log", OPT(KEY_LOG), "LEVEL", 0, "error, warn (default), info or debug", 4},
    {"prefix", OPT(KEY_PREFIX), NULL, 0, "Begin console lines with their PE", 4},
    {"no-prefix", OPT_NO_PREFIX, NULL, 0, "Leave console lines as they are", 4},
    {"color", OPT(KEY_COLOR), "WHEN", OPTION_ARG_OPTIONAL, "auto (default), always or never", 4},
    {"report", OPT(KEY_REPORT), "LIST", 0, "Tables at the end: pairs, exits", 4},
    {"stats", OPT(KEY_STATS), NULL, 0, "Counters of each PE at the end", 4},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const char usage_text[] =
    "Usage: sempervm run [OPTION...] [FILE] [-- BOOT LINE]\n"
    "       sempervm check [OPTION...] [FILE] [-- BOOT LINE]\n"
    "       sempervm explore --seeds A..B [OPTION...] -- MACHINE, as of run\n"
    "       sempervm replay [--until STEP] TRACE\n"
    "       sempervm trace [OPTION...] TRACE [TRACE2]\n"
    "       sempervm caps [--dot] SOCKET\n"
    "       sempervm doctor\n"
    "       sempervm --help | --version\n"
    "\n"
    "Machines of PEs, joined by DTUs, on KVM.\n"
    "\n"
    "  run      build the machine of FILE or of the boot line, and run it\n"
    "  check    say what is wrong with a machine, without running it\n"
    "  explore  run a machine under many seeds, keep and shrink what fails\n"
    "  replay   run a recorded schedule again and stop at the first difference\n"
    "  trace    print, compare or convert a trace\n"
    "  caps     print the capabilities of a running machine, run with --control SOCKET\n"
    "  doctor   say whether this host can run machines, and what to do if not\n"
    "\n"
    "FILE is a machine file (INI) or, ending in .cfg, a boot file of SemperOS.\n"
    "`sempervm run --help` lists the options; vmm/README.md is the manual.\n"
    "\n"
    "Exit status: 0 all well, 1 a guest failed, 2 usage or machine description,\n"
    "3 the host cannot, 4 timed out, 5 deadlock.\n";

/* The name of an option as the user wrote it, for messages. */
static const char *option_name(int key)
{
    for (const struct argp_option *o = options; o->name || o->doc; o++)
        if (o->key == key && o->name)
            return o->name;
    return "option";
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct cli *c = state->input;

    if (key == ARGP_KEY_ARG) {
        if (c->file)
            argp_error(state, "one machine file is enough: %s, %s; words of a boot line follow --",
                       c->file, arg);
        c->file = arg;
        return 0;
    }
    if (key < 0x100 || key > OPT_NO_PREFIX)
        return ARGP_ERR_UNKNOWN;
    c->use[c->nuse++] = (struct option_use){.key = key, .value = arg};
    return 0;
}

/* ---- the machine ----------------------------------------------------------------------------- */

/* Options of how to run, which no file has. */
static int apply_run_option(struct machine *m, const struct option_use *u, struct diag *d)
{
    char err[200];
    int r = 0;

    if (u->key == OPT_TRACE)
        m->seed.trace = u->value;
    else if (u->key == OPT_SCHEDULE)
        m->seed.schedule = u->value;
    else if (u->key == OPT_SEED)
        r = seed_parse(&m->seed, u->value, err, sizeof(err));
    else if (u->key == OPT_POLICY)
        r = seed_parse_policy(&m->seed, u->value, err, sizeof(err));
    else
        r = seed_parse_faults(&m->seed, u->value, err, sizeof(err));
    if (r == -EINVAL)
        diag_add(d, NULL, 0, "%s", err);
    return r;
}

static int apply_option(struct machine *m, const struct option_use *u, struct diag *d)
{
    const char *value = u->value;
    char name[32];

    if (u->key >= OPT_SEED && u->key <= OPT_TRACE)
        return apply_run_option(m, u, d);

    snprintf(name, sizeof(name), "--%s", option_name(u->key));
    if (u->key == OPT_CONTROL)
        return (m->control = value), 0;
    if (u->key == OPT_FS)
        return machine_add_fs(m, value, name, 0, d);
    if (u->key == OPT_NIC)
        return machine_set_nic(m, value, d);
    if (u->key == OPT_NODE)
        return machine_set_node(m, value, d);
    if (u->key == OPT_PEER)
        return machine_set_peer(m, value, d);
    if (u->key == OPT_LISTEN)
        return machine_set_listen(m, value, d);
    if (u->key == OPT_NO_PREFIX)
        return machine_set(m, KEY_PREFIX, "no", name, 0, d);
    if (!value)
        value = u->key == OPT(KEY_COLOR) ? "always" : "yes";
    return machine_set(m, (enum machine_key)(u->key - 0x100), value, name, 0, d);
}

static int apply_options(struct machine *m, const struct cli *c, struct diag *d)
{
    int r = 0;

    for (unsigned i = 0; i < c->nuse; i++)
        if (c->use[i].key == OPT_FS) {
            machine_clear_fs(m);
            break;
        }
    /* Which node it is comes first: the others may be about it. */
    for (unsigned i = 0; i < c->nuse && r != -ENOMEM; i++)
        if (c->use[i].key == OPT_NODE)
            r = apply_option(m, &c->use[i], d);
    for (unsigned i = 0; i < c->nuse && r != -ENOMEM; i++)
        if (c->use[i].key != OPT_NODE)
            r = apply_option(m, &c->use[i], d);
    seed_settle_faults(&m->seed);
    return r == -ENOMEM ? r : 0;
}

/* Everything but machine_validate(); complaints are in the list.  -EINVAL: too little to go on. */
static int describe(struct machine *m, const struct cli *c, struct diag *d)
{
    int r = machine_defaults(m), boot;

    if (r == 0 && !c->file && c->nboot < 0) {
        diag_add(d, NULL, 0, "no machine; name a FILE or a boot line: run -- kernel hello");
        return -EINVAL;
    }
    if (r == 0 && c->file)
        r = machine_from_file(m, c->file, d);
    if (r != -ENOMEM && apply_options(m, c, d) < 0)
        r = -ENOMEM;
    if (r != -ENOMEM && c->nboot >= 0 &&
        (boot = machine_from_bootline(m, c->nboot, c->boot, d)) < 0)
        r = boot;
    /* Of a file with errors the rest is still worth a look, if it said what to run. */
    return r == -EINVAL && (m->argc > 0 || m->nnodes) ? 0 : r;
}

static int refuse(struct diag *d, int r)
{
    if (r == -ENOMEM)
        diag_add(d, NULL, 0, "out of memory for the machine description; end other programs");
    diag_print(d, stderr);
    return r == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
}

/* --schedule: the switches of that trace, whatever the policy.  *list is the caller's. */
static int follow_schedule(struct machine *m, struct trace_record **list, struct diag *d)
{
    struct trace_header h;
    char err[512];
    int r = explore_switches(m->seed.schedule, list, &m->seed.nlist, &h, err, sizeof(err));

    if (r < 0) {
        diag_add(d, NULL, 0, "--schedule %s", err);
        return r;
    }
    m->seed.on = true;
    m->seed.policy = SEED_SWITCHES;
    m->seed.list = *list;
    return 0;
}

/* A machine of several nodes without --node: all of them in one process, which needs a seed. */
static bool is_whole(const struct machine *m)
{
    return m->nnodes && !m->selected;
}

static void set_recorded(struct machine *m, const struct cli *c)
{
    m->seed.args = c->args;
    m->seed.args_len = c->args_len;
    m->seed.until = UINT64_MAX;
    if (c->recorded) {
        m->seed.on = true;
        m->seed.policy = SEED_LIST;
        m->seed.trace = c->recorded->trace;
        m->seed.list = c->recorded->list;
        m->seed.nlist = c->recorded->nlist;
        m->seed.compare = c->recorded->compare;
        m->seed.machine = c->recorded->machine;
        m->seed.until = c->recorded->until;
    }
}

/* Recordings of several NICs cannot go to one file. */
static int own_pcap(struct machine *m)
{
    char *path = m->pcap;

    if (!path)
        return 0;
    if (asprintf(&m->pcap, "%s.%u", path, m->self) < 0) {
        m->pcap = path;
        return -ENOMEM;
    }
    free(path);
    return 0;
}

/* The machine as node k sees it. */
static int describe_node(struct machine *m, unsigned k, const struct machine *whole,
                         const struct cli *c, struct diag *d)
{
    int r = describe(m, c, d);

    m->selected = true;
    m->self = k;
    if (r == 0)
        r = machine_validate(m, d);
    if (r == 0)
        r = own_pcap(m);
    m->seed = whole->seed;
    return r == 0 && diag_count(d) ? -EINVAL : r;
}

static int run_whole(const struct machine *whole, const struct cli *c, struct diag *d)
{
    struct machine m[MACHINE_MAX_NODES] = {0};
    unsigned k, n = 0;
    int r = 0, status;

    for (k = 0; k < whole->nnodes && r == 0; k++)
        if (whole->node[k].there)
            r = describe_node(&m[n++], k, whole, c, d);
    status = r < 0 ? refuse(d, r) : run_machines(m, n);
    for (k = 0; k < n; k++)
        machine_free(&m[k]);
    return status;
}

static int run(struct machine *m, const struct cli *c, struct diag *d)
{
    struct trace_record *schedule = NULL;
    int r = describe(m, c, d);

    /* A --node that is wrong was complained about, and is not missing. */
    if (r == 0 && !diag_count(d) && is_whole(m) && !m->seed.on && !m->seed.schedule &&
        !c->recorded) {
        diag_add(d, NULL, 0,
                 "%s describes %u nodes; say with --node which of them to run, or run all of them "
                 "in one process with --seed",
                 m->file, m->nnodes);
        r = -EINVAL;
    }
    if (r == 0 && m->control && (m->seed.on || m->seed.schedule || c->recorded)) {
        diag_add(d, NULL, 0,
                 "--control %s: a run by a seed cannot be asked from outside; leave out --seed",
                 m->control);
        r = -EINVAL;
    }
    if (r == 0)
        r = machine_validate(m, d);
    if (r == 0 && m->seed.schedule && !c->recorded)
        r = follow_schedule(m, &schedule, d);
    if (r < 0 || diag_count(d))
        return refuse(d, r);
    set_recorded(m, c);
    r = is_whole(m) ? run_whole(m, c, d) : run_machine(m);
    free(schedule);
    return r;
}

/* What `run` would say of it, without a machine. */
static void check_key(const struct machine *m, struct diag *d)
{
    uint8_t key[SEAL_KEY_BYTES];
    char err[512];

    if (!m->link_key)
        return;
    if (wire_key(m, key, err, sizeof(err)) < 0)
        diag_add(d, m->where[KEY_LINK_KEY] ? m->file : NULL, m->where[KEY_LINK_KEY], "%s", err);
    explicit_bzero(key, sizeof(key));
}

static int check(struct machine *m, const struct cli *c, struct diag *d)
{
    int r = describe(m, c, d);

    if (r == 0)
        check_key(m, d);
    return r < 0 ? refuse(d, r) : machine_check(m, d, stdout, stderr);
}

typedef int (*command_fn)(struct machine *m, const struct cli *c, struct diag *d);

/* All words in one piece, before argp reorders them. */
static char *join(int argc, char **argv, size_t *len)
{
    char *args, *at;
    int i;

    *len = 0;
    for (i = 1; i < argc; i++)
        *len += strlen(argv[i]) + 1;
    at = args = malloc(*len + 1);
    for (i = 1; args && i < argc; i++)
        at = stpcpy(at, argv[i]) + 1;
    return args;
}

static int with_machine(command_fn command, char *name, const char *doc, int argc, char **argv,
                        const struct seed_opts *recorded)
{
    const struct argp argp = {options, parse_option, "[FILE] [-- BOOT LINE]", doc, NULL,
                              NULL,    NULL};
    struct cli c = {.nboot = -1, .use = calloc((size_t)argc, sizeof(*c.use)), .recorded = recorded};
    struct machine m = {0};
    struct diag d = {0};
    int status = EXIT_HOST;

    c.args = join(argc, argv, &c.args_len);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0) {
            c.boot = argv + i + 1;
            c.nboot = argc - i - 1;
            argc = i;
        }
    argv[0] = name;
    if (!c.use || !c.args)
        fprintf(stderr, "sempervm: out of memory; end other programs\n");
    else if (argp_parse(&argp, argc, argv, 0, NULL, &c) == 0)
        status = command(&m, &c, &d);
    diag_free(&d);
    machine_free(&m);
    free(c.use);
    free(c.args);
    return status;
}

int cli_run(int argc, char **argv, const struct seed_opts *recorded)
{
    static char name[] = "sempervm run";

    return with_machine(run, name, "Build a machine and run it.", argc, argv, recorded);
}

static int doctor_command(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        fputs(usage_text, stdout);
    else if (argc > 1)
        fprintf(stderr, "sempervm: doctor takes no arguments, got '%s'; leave it out\n", argv[1]);
    else
        return doctor(stdout);
    return strcmp(argv[1], "--help") == 0 ? EXIT_OK : EXIT_USAGE;
}

int cli_main(int argc, char **argv)
{
    static char check_name[] = "sempervm check";
    const char *command = argc > 1 ? argv[1] : "";

    argp_program_version = SEMPERVM_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    if (strcmp(command, "run") == 0)
        return cli_run(argc - 1, argv + 1, NULL);
    if (strcmp(command, "replay") == 0)
        return replay_command(argc - 1, argv + 1);
    if (strcmp(command, "trace") == 0)
        return trace_command(argc - 1, argv + 1);
    if (strcmp(command, "explore") == 0)
        return explore_command(argc - 1, argv + 1);
    if (strcmp(command, "check") == 0)
        return with_machine(check, check_name, "Say what is wrong with a machine.", argc - 1,
                            argv + 1, NULL);
    if (strcmp(command, "caps") == 0)
        return caps_command(argc - 1, argv + 1);
    if (strcmp(command, "doctor") == 0)
        return doctor_command(argc - 1, argv + 1);
    if (strcmp(command, "--help") == 0 || strcmp(command, "-?") == 0 ||
        strcmp(command, "help") == 0) {
        fputs(usage_text, stdout);
        return EXIT_OK;
    }
    if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0) {
        puts(SEMPERVM_VERSION);
        return EXIT_OK;
    }
    if (argc > 1)
        fprintf(stderr,
                "sempervm: unknown command '%s', want run, check, explore, replay, trace, caps "
                "or doctor\n",
                command);
    else
        fprintf(stderr, "sempervm: no command, want run, check or doctor; --help tells more\n");
    return EXIT_USAGE;
}
