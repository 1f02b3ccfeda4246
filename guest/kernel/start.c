/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot line's programs: each on the next free PE, daemons first to run, the others when all are
 * in place (semperos-platform 5.5).
 */
#include "kernel.h"
#include "print.h"
#include "str.h"

#define NEWS_NS  (120ull * 1000000000)
#define ROAM_MAX 1000000u

static void report(const char *name, const char *what)
{
    print("kernel %u: cannot start %s: %s\n", kern.id, name, what);
    kern.stats.failed++;
}

static void run(struct vpe *v)
{
    int err = vpe_start(v);

    if (err != SE_OK) {
        report(v->name, err == SE_NO_SUCH_FILE ? "there is no idle program" : "its PE fails");
        vpe_exit(v, 1);
        return;
    }
    kern.stats.started++;
    print("kernel %u: started %s on PE %u\n", kern.id, v->name, v->pe);
}

static void place(const struct boot_app *app)
{
    const char *name = bootline_name(app->argv[0]), *error;
    unsigned flags = VPE_F_BOOT | (app->daemon ? VPE_F_DAEMON : 0);
    struct pe *pe = pe_find(PE_TYPE_SPM);
    struct vpe *v;

    kern.stats.regular += app->daemon ? 0 : 1;
    if (!pe) {
        if (app->argc > 1 || app->nrequires > 0 || app->daemon || !group_start_elsewhere(name))
            report(name, "no PE is free");
        return;
    }
    if (vpe_create(name, pe, flags, &v) != SE_OK) {
        report(name, "a VPE cannot be created on the next PE");
        return;
    }
    v->nrequires = app->nrequires;
    memcpy(v->requires, app->requires, sizeof(v->requires));
    error = load_program(v, app->argc, app->argv);
    if (error) {
        report(name, error);
        vpe_exit(v, 1);
    } else if (app->daemon && v->nrequires == 0) {
        run(v);
    }
}

bool start_named(const char *name, unsigned *id)
{
    char *argv[1] = {(char *)(uintptr_t)name};
    struct pe *pe = pe_find(PE_TYPE_SPM);
    struct vpe *v;

    if (!pe || !load_find(name) || vpe_create(name, pe, VPE_F_BOOT, &v) != SE_OK)
        return false;
    if (load_program(v, 1, argv)) {
        vpe_exit(v, 1);
        return false;
    }
    *id = v->pe;
    kern.srv_news = true; /* it starts when the others do */
    return true;
}

/* roam=N: the caller of each Nth system call moves to the next kernel (move.h). */
static void read_roam(const char *n)
{
    unsigned value = 0;

    for (; *n >= '0' && *n <= '9' && value < ROAM_MAX; n++)
        value = value * 10 + (unsigned)(*n - '0');
    if (*n || value == 0 || value >= ROAM_MAX)
        report("roam=", "it wants a number of system calls");
    else
        kern.moves.roam = value;
}

/* Words that are for the kernel come before the first program. */
static bool kernel_word(const char *word)
{
    if (strncmp(word, "roam=", 5) == 0)
        read_roam(word + 5);
    return strncmp(word, "id=", 3) == 0 || strncmp(word, "peer=", 5) == 0 ||
           strncmp(word, "roam=", 5) == 0;
}

void start_line(void)
{
    struct boot *b = &kern.boot;
    const char *error;
    struct boot_app app;
    int more;

    while ((more = bootline_next(b->argc, b->argv, kern.peers.secondary ? "++" : "--", BOOT_PES,
                                 &b->pos, &app, &error)) != 0) {
        if (more > 0 && app.kernel)
            error = kboot_start(&app);
        if (error) {
            report(bootline_name(app.argv[0]), error);
            continue;
        }
        if (app.kernel)
            return; /* it goes on when that one has started */
        for (unsigned i = 0; i < app.repeat && !app.idle; i++)
            place(&app);
    }
    b->state = BOOT_IDLE;
    kern.srv_news = true;
}

void start_all(int argc, char **argv)
{
    struct boot *b = &kern.boot;

    *b = (struct boot){.state = BOOT_LINE, .argc = argc, .argv = argv, .pos = 1};
    while (b->pos < argc && kernel_word(argv[b->pos]))
        b->pos++;
    if (kern.peers.secondary)
        return; /* once we know the other kernels */
    start_line();
    start_pending();
}

static bool waits(const struct vpe *v)
{
    return v && v->state == VPE_CREATED && (v->flags & VPE_F_BOOT);
}

/* The first service that v requires and that is not there; NULL: none. */
static const char *missing(const struct vpe *v)
{
    for (unsigned i = 0; i < v->nrequires; i++)
        if (!srv_exists(v->requires[i]) && !rservice_exists(v->requires[i]))
    return v->requires[i];
    return NULL;
}

static struct vpe *vpe_at(unsigned i)
{
    return kern.pes[kern.pe_order[i]].vpe;
}

void start_pending(void)
{
    bool some = false;

    if (!kern.srv_news)
        return;
    kern.srv_news = false;
    kern.no_news = 0;
    for (unsigned i = 0; i < kern.pe_count; i++)
        some |= waits(vpe_at(i)) && missing(vpe_at(i));
    /* What requires nothing may be what the others wait for, in this kernel or another one. */
    for (unsigned i = 0; i < kern.pe_count; i++)
        if (waits(vpe_at(i)) && !missing(vpe_at(i)) &&
            ((vpe_at(i)->flags & VPE_F_DAEMON) || vpe_at(i)->nrequires == 0) &&
            kern.boot.state == BOOT_IDLE)
            run(vpe_at(i));
    if (!group_may_start(some))
        return;
    for (unsigned i = 0; i < kern.pe_count; i++)
        if (waits(vpe_at(i)) && !missing(vpe_at(i)))
            run(vpe_at(i));
}

static void give_up(void)
{
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = vpe_at(i);

        if (!waits(v) || !missing(v))
            continue;
        print("kernel %u: nobody offers the service %s\n", kern.id, missing(v));
        report(v->name, "what it requires is not there");
        vpe_exit(v, 1);
    }
    kern.srv_news = true; /* others wait until our programs could begin */
}

/* Nobody runs who could register what the others wait for.  Mostly the first one we look at does.
 */
static void give_up_pending(void)
{
    for (unsigned i = 0; i < kern.pe_count; i++)
        if (vpe_at(i) && vpe_at(i)->state == VPE_RUNNING)
            return;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        if (!waits(vpe_at(i)) || !missing(vpe_at(i)))
            continue;
        if (!group_others())
            give_up();
        return;
    }
}

uint64_t start_tick(uint64_t ns)
{
    bool some = false;

    /* Other nodes may be switched on tomorrow. */
    if (kern.boot.state != BOOT_IDLE || (kern.peers.independent && group_others()))
        return 0;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        const struct vpe *v = vpe_at(i);

        if (v && v->state == VPE_RUNNING && !(v->flags & VPE_F_DAEMON))
            return 0;
        some |= waits(v) && missing(v);
    }
    if (!some)
        return 0;
    kern.no_news += ns;
    if (kern.no_news < NEWS_NS)
        return NEWS_NS - kern.no_news;
    give_up();
    return 1; /* what that leads to is looked at next */
}

bool start_finished(void)
{
    give_up_pending();
    if (kern.nvpes > kern.ndaemons || !group_may_end())
        return false;
    if (srv_shutdown())
        return false;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = kern.pes[kern.pe_order[i]].vpe;

        if (v)
            vpe_exit(v, 0);
    }
    vpe_reap();
    if (kern.moves.roam) /* before the others hear that we are through, and end the machine */
        print("kernel %u: %lu VPEs moved to other kernels, %lu stayed\n", kern.id,
              (unsigned long)kern.stats.moved, (unsigned long)kern.stats.stayed);
    group_ended();
    return true;
}
