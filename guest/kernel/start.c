/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot line's programs: each on the next free PE, daemons first to run, the others when all are
 * in place (semperos-platform 5.5).
 */
#include "kernel.h"
#include "print.h"
#include "str.h"

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

    if (!pe) {
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

/* NULL, or why this kernel cannot do it. */
static const char *unable(const struct boot_app *app)
{
    if (app->kernel)
        return "this kernel starts no other kernels";
    return NULL;
}

void start_all(int argc, char **argv)
{
    const char *error;
    struct boot_app app;
    int pos = 1, more;

    while ((more = bootline_next(argc, argv, "--", BOOT_PES, &pos, &app, &error)) != 0) {
        if (more < 0 || (error = unable(&app))) {
            report(app.argv[0], error);
            continue;
        }
        for (unsigned i = 0; i < app.repeat && !app.idle; i++)
            place(&app);
    }
    kern.srv_news = true;
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
        if (!srv_exists(v->requires[i]))
    return v->requires[i];
    return NULL;
}

void start_pending(void)
{
    if (!kern.srv_news)
        return;
    kern.srv_news = false;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = kern.pes[kern.pe_order[i]].vpe;

        if (waits(v) && !missing(v))
            run(v);
    }
}

/* Nobody runs who could register what the others wait for. */
static void give_up_pending(void)
{
    for (unsigned i = 0; i < kern.pe_count; i++)
        if (kern.pes[kern.pe_order[i]].vpe && kern.pes[kern.pe_order[i]].vpe->state == VPE_RUNNING)
            return;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = kern.pes[kern.pe_order[i]].vpe;

        if (!waits(v))
            continue;
        print("kernel %u: nobody offers the service %s\n", kern.id, missing(v));
        report(v->name, "what it requires is not there");
        vpe_exit(v, 1);
    }
}

bool start_finished(void)
{
    give_up_pending();
    if (kern.nvpes > kern.ndaemons)
        return false;
    if (srv_shutdown())
        return false;
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct vpe *v = kern.pes[kern.pe_order[i]].vpe;

        if (v)
            vpe_exit(v, 0);
    }
    vpe_reap();
    return true;
}
