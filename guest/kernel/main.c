/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's beginning, loop and end.
 *
 * KEnv says what the machine has (semperos-platform 1).  The order of the first steps is the
 * original's (dtu-spec 8.6).
 */
#include "dtu_drv.h"
#include "dump.h"
#include "env.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "ktime.h"
#include "print.h"
#include "ring_lib.h"
#include "start.h"
#include "str.h"

#define LOOPS_PER_LOOK 256u /* at the clock */
#define ANSWER_RECORDS 64u  /* of an answer to the VMM, in one store */
#define GOODBYE_TURNS  4096u
#define GOODBYE_NS     3000000000ull

static struct kernel the_kernel;
struct kernel *kern_now = &the_kernel;

const unsigned ring_entries = RING_ENTRIES_MAX; /* everybody's system calls */

static struct boot_kenv kenv;
static uint8_t recvbuf[KERN_SYSC_EPS][DTU_MAX_SLOTS << KERN_SYSC_ORDER];
static uint8_t krnlbuf[KC_EPS][DTU_MAX_SLOTS << KC_ORDER];
static struct member_entry members[BOOT_PES];
static uint8_t srvbuf[DTU_MAX_SLOTS << KERN_SRV_ORDER];

static _Noreturn void end_machine(int status)
{
    print_flush();
    if (vreg_has(VREG_F_EXIT)) {
        vreg_set(VREG_EXIT, (uint32_t)status | (uint64_t)VREG_EXIT_MACHINE << 32);
    } else {
        /* gem5's exit instruction, RDI = delay */
        __asm__ volatile(".byte 0x0F, 0x04; .word %c0" : : "i"(GEM5_EXIT), "D"(0ul) : "memory");
    }
    for (;;)
        __asm__ volatile("hlt");
}

/* The machine is another kernel's to end. */
static _Noreturn void end_here(int status)
{
    print_flush();
    if (vreg_has(VREG_F_EXIT))
        vreg_set(VREG_EXIT, (uint32_t)status | (uint64_t)VREG_EXIT_PE << 32);
    for (;;)
        __asm__ volatile("hlt");
}

/* Also where panic() ends: in the library's terms the kernel is a program like others. */
_Noreturn void guest_exit(int status)
{
    end_machine(status);
}

static int read_noc(uint64_t noc, void *buf, size_t n)
{
    unsigned pe = (unsigned)(noc >> 49) & 0x3FF;

    return hw_read(pe, 0, noc & ((1ull << DTU_OFFSET_BITS) - 1), buf, n);
}

/* Our own VPE id is set as that of any PE is: by a write through the NoC (dtu-spec 8.3). */
static void set_own_id(unsigned from, unsigned to)
{
    if (hw_set_reg(kern.own_pe, from, DTU_VPE_ID, to) != SE_OK)
        panic("kernel: its own VPE id cannot be set");
}

/* A number, and behind it `end`; *s is moved behind that.  Max + 1: it is none. */
static unsigned number(const char **s, char end, unsigned max)
{
    unsigned n = 0, digits = 0;

    for (; **s >= '0' && **s <= '9' && n <= max; ++*s, digits++)
        n = n * 10 + (unsigned)(**s - '0');
    if (digits == 0 || **s != end || n > max)
        return max + 1;
    *s += end ? 1 : 0;
    return n;
}

/* id=N: a kernel that nobody has started, among others. */
static void read_id(int argc, char **argv)
{
    const char *s;

    for (int i = 1; i < argc && strncmp(argv[i], "id=", 3) == 0; i++) {
        s = argv[i] + 3;
        kern.id = number(&s, 0, DTU_VPE_INVALID - 1);
        kern.peers.independent = true;
        if (kern.id >= DTU_VPE_INVALID)
            panic("kernel: id= wants a number below %u, not %s", DTU_VPE_INVALID, argv[i] + 3);
    }
}

/* peer=ID@PE: another one. */
static void read_peers(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *s = argv[i] + 5;
        unsigned id, pe;
        struct peer *p;

        if (strncmp(argv[i], "id=", 3) == 0)
            continue;
        if (strncmp(argv[i], "peer=", 5) != 0)
            return;
        id = number(&s, '@', DTU_VPE_INVALID - 1);
        pe = id < DTU_VPE_INVALID ? number(&s, 0, DTU_PES - 1) : DTU_PES;
        p = kern.peers.independent && pe < DTU_PES ? peer_add(id, pe) : NULL;
        if (!p)
            panic("kernel %u: peer= wants another kernel's id@PE, behind id=, not %s", kern.id,
                  argv[i] + 5);
        p->configured = true;
    }
}

static void read_kenv(int argc, char **argv)
{
    kern.own_pe = (uint16_t)env()->coreid;
    set_own_id(DTU_VPE_INVALID, 0);
    if (read_noc(env()->kenv, &kenv, sizeof(kenv)) != SE_OK)
        panic("kernel: KEnv cannot be read at %#lx", env()->kenv);
    kern.id = kenv.kernel_id;
    kern.peers.secondary = kenv.kernel_id != kenv.creator_kernel_id;
    if (!kern.peers.secondary)
        read_id(argc, argv);
    if (kern.id != 0) { /* it is that already */
        set_own_id(0, DTU_VPE_INVALID);
        set_own_id(DTU_VPE_INVALID, kern.id);
    }
    kern.mem_pe = (uint16_t)kenv.mem_mods[0].pe;
}

/*
 * The first memory module's front has the file systems and the boot modules.  A kernel that another
 * one has started gets the second one for itself; what its creator has left it is at the front.
 */
static void init_memory(void)
{
    const struct boot_mem_mod *m = &kenv.mem_mods[kern.peers.secondary ? 1 : 0];
    uint64_t begin = MEM_FREE, end = m->offset + m->size;

    kern.fs_end = MEM_MODULES;
    if (kern.peers.secondary) {
        begin = kenv.ddl_partitions + kenv.ddl_partitions_size;
        begin = (begin & ((1ull << DTU_OFFSET_BITS) - 1)) + 4095;
        begin &= ~4095ull;
        if (begin < m->offset + kenv.mem_offset || begin > end)
            begin = m->offset + kenv.mem_offset;
    }
    kern.mem_fresh = begin;
    if (memmap_init(&kern.mem, begin, end > begin ? end - begin : 0) != 0)
        panic("kernel %u: no heap", kern.id);
}

/*
 * As soon as there is something to say: what comes next (module headers, every PE's privilege, our
 * endpoints) takes exits, and who waits for a sign of life waits for them.
 */
static void announce(void)
{
    unsigned pes = 1, modules = 0;

    for (uint64_t i = 0; i < kenv.pe_count && i < BOOT_PES; i++)
        pes += kenv.pes[i] != 0 && pe_desc_type(kenv.pes[i]) != PE_TYPE_MEM &&
               pe_desc_id(kenv.pes[i]) != kern.own_pe;
    while (modules < BOOT_MODULES && kenv.mods[modules])
        modules++;
    print("kernel %u on PE %u: %u PEs, %lu MiB memory, %u modules\n", kern.id, kern.own_pe, pes,
          (unsigned long)(memmap_available(&kern.mem) >> 20), modules);
}

static void init_modules(void)
{
    for (unsigned i = 0; i < BOOT_MODULES && kenv.mods[i]; i++) {
        struct boot_module *m = &kern.mods[kern.nmods];

        if (read_noc(kenv.mods[i], m, sizeof(*m)) != SE_OK)
            panic("kernel %u: boot module %u cannot be read", kern.id, i);
        m->name[sizeof(m->name) - 1] = 0;
        kern.mod_addr[kern.nmods++] = kenv.mods[i];
    }
}

/* Who has which PE, as our creator knows it. */
static void init_members(void)
{
    struct peer *p;

    for (unsigned i = 0; i < BOOT_PES; i++)
        kern.peers.owner[i] = KC_NO_KERNEL;
    if (!kern.peers.secondary)
        return;
    if (read_noc(kenv.member_table, members, sizeof(members)) != SE_OK)
        panic("kernel %u: the member table cannot be read", kern.id);
    for (unsigned i = 0; i < BOOT_PES; i++)
        if (members[i].flags != MEMBER_UNPOPULATED)
            kern.peers.owner[i] = members[i].kernel;
    kern.peers.creator = (uint16_t)kenv.creator_kernel_id;
    kern.peers.creator_thread = (uint32_t)kenv.creator_thread;
    p = peer_add(kenv.creator_kernel_id, kenv.creator_core);
    if (!p)
        panic("kernel %u: no place for its creator", kern.id);
    p->state = PEER_UP;
    p->created = true;
    p->remote_ep = (uint8_t)kenv.creator_ep;
}

/* STATUS = 0: from now on they cannot configure their own endpoints (dtu-spec 6.2). */
static void init_pes(void)
{
    for (uint64_t i = 0; i < kenv.pe_count && i < BOOT_PES; i++) {
        unsigned id = pe_desc_id(kenv.pes[i]);

        if (kenv.pes[i] == 0) /* another node's */
            continue;
        connect_member(kern.id, kenv.pes[i], MEMBER_NONE);
        pe_add(kenv.pes[i]);
        if (kern.pes[id].state == PE_FREE && !kern.peers.secondary &&
            hw_set_reg(id, DTU_VPE_INVALID, DTU_STATUS, 0) != SE_OK)
            kern.pes[id].state = PE_LOST;
    }
    kern.pe_news = false;
}

static void init_endpoints(void)
{
    const unsigned slots_order = 5;

    _Static_assert(DTU_MAX_SLOTS == 1u << 5, "slots_order");
    for (unsigned ep = 0; ep < KERN_SYSC_EPS; ep++)
        dtu_config_recv(ep, recvbuf[ep], KERN_SYSC_ORDER + slots_order, KERN_SYSC_ORDER);
    for (unsigned i = 0; i < KC_EPS; i++)
        dtu_config_recv(KC_EP + i, krnlbuf[i], KC_ORDER + slots_order, KC_ORDER);
    dtu_config_recv(KERN_EP_SRV, srvbuf, KERN_SRV_ORDER + slots_order, KERN_SRV_ORDER);
}

static void handle(unsigned ep, const struct dtu_header *msg)
{
    if (ep < KERN_SYSC_EPS)
        sys_handle(ep, msg);
    else if (ep == KERN_EP_SRV)
        srv_handle(msg);
    else
        kcall_handle(ep, msg);
}

/*
 * Handles what has come to these endpoints; how many messages.  At most what fits into a buffer, so
 * that nobody keeps us from the others.
 */
static unsigned fetch_from(uint32_t eps)
{
    const struct dtu_header *msg;
    unsigned total = 0;

    for (; eps; eps &= eps - 1) {
        unsigned ep = (unsigned)__builtin_ctz(eps);

        for (unsigned n = 0; n < DTU_MAX_SLOTS && (msg = dtu_fetch(ep)); n++, total++)
            handle(ep, msg);
    }
    return total;
}

/* Kernels first: others wait for what they have begun. */
static unsigned fetch_all(void)
{
    const uint32_t calls = (1u << KERN_SYSC_EPS) - 1, kernels = ((1u << KC_EPS) - 1) << KC_EP;
    const uint32_t news = dtu_news();
    unsigned total = fetch_from(news & kernels);

    total += fetch_from(news & calls);
    return total + fetch_from(news & 1u << KERN_EP_SRV);
}

/*
 * What has passed since the last turn.  A wait has latched the time; because there may be none in a
 * busy kernel, it is asked for now and then.  Without a clock only idle time counts.
 */
static uint64_t passed(uint64_t idle)
{
    static struct ktime time;
    static unsigned loops;

    if (!vreg_has(VREG_F_TIME))
        return idle;
    if (++loops % LOOPS_PER_LOOK == 0)
        vreg_set(VREG_TIME, 0);
    return ktime_step(&time, vreg_get(VREG_TIME));
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

/* ---- what the VMM asks (vreg.h) ---- */

struct answer {
    unsigned n;
    struct capdump records[ANSWER_RECORDS];
};

static void answer_flush(struct answer *a)
{
    if (a->n)
        vreg_set(VREG_ASK, vreg_console((uintptr_t)a->records, a->n * sizeof(a->records[0])));
    a->n = 0;
}

static void answer_put(void *arg, const struct capdump *r)
{
    struct answer *a = arg;

    a->records[a->n++] = *r;
    if (a->n == ANSWER_RECORDS)
        answer_flush(a);
}

static void answer_question(void)
{
    static struct answer answer;
    static uint64_t last;
    uint64_t question = vreg_has(VREG_F_ASK) ? vreg_get(VREG_ASK) : VREG_ASK_NONE;

    if (question == last)
        return;
    last = question;
    if ((question & 0xFF) != VREG_ASK_CAPS)
        return;
    dump_caps(question, answer_put, &answer);
    answer_flush(&answer);
    vreg_set(VREG_ASK, vreg_console(0, 0));
}

/* What the VMM has to say besides messages; looking costs no exit. */
static void look_at_vmm(void)
{
    static uint64_t over;

    answer_question();
    if (!vreg_has(VREG_F_OVER) || (vreg_get(VREG_OVER) == over && !kern.moves.arrived))
        return;
    kern.moves.arrived = false;
    over = vreg_get(VREG_OVER);
    vpe_bury();
}

static uint64_t all_passed; /* ns of all turns */

/* Once around; returns the time that passed without messages. */
static uint64_t turn(uint64_t idle)
{
    uint64_t gone = passed(idle), ns = pe_poll();
    const bool spin = gone == 0 && ns == 0;

    all_passed += gone;
    /* While messages come all the time nothing else is new; what follows looks at every VPE. */
    if (spin && dtu_spin()) {
        vpe_reap();
        look_at_vmm();
        fetch_all();
        return 0;
    }
    ns = sooner(ns, srv_tick(gone));
    ns = sooner(ns, peer_tick(gone));
    ns = sooner(ns, start_tick(gone));
    vpe_reap();
    if (ns && !vreg_has(VREG_F_WAIT))
        __builtin_ia32_pause(); /* no timer: keep looking */
    else if (spin)
        dtu_sleep(ns ? ns : VREG_WAIT_FOREVER);
    else
        dtu_wait(ns ? ns : VREG_WAIT_FOREVER);
    look_at_vmm();
    return fetch_all() ? 0 : ns;
}

static void serve(void)
{
    uint64_t idle = 0;

    if (vreg_has(VREG_F_ASK))
        vreg_set(VREG_ASK, VREG_ASK_HERE);
    if (vreg_has(VREG_F_OVER))
        vreg_set(VREG_OVER, 0);
    while (!start_finished()) {
        idle = turn(idle);
        start_pending();
    }
}

/* The others get what they have to get, but we do not wait for them for ever. */
static void say_goodbye(void)
{
    uint64_t idle = 0, until = all_passed + GOODBYE_NS;

    for (unsigned i = 0; i < GOODBYE_TURNS && all_passed < until && peer_sending(); i++)
        idle = turn(idle);
    peer_close_all();
    mht_free_all();
}

/* Only when something was not as it should be: else what programs said stands last. */
static void summary(size_t heap)
{
    print("kernel %u: %u VPEs started, %u failed; %lu system calls, %lu messages of nobody; "
          "heap use %zu blocks, %zu after boot\n",
          kern.id, kern.stats.started, kern.stats.failed, (unsigned long)kern.stats.syscalls,
          (unsigned long)kern.stats.strays, heap_blocks(), heap);
}

/* Tells this run of an independent kernel from the one before; others live as long as the machine.
 */
static uint64_t incarnation(void)
{
    uint64_t n;

    if (!kern.peers.independent)
        return 0;
    n = vreg_present() ? vreg_get(VREG_EPOCH) : 0;
    if (n == 0)
        n = __builtin_ia32_rdtsc();
    return n ? n : 1;
}

static void report_alive(void)
{
    const uint64_t msg[4] = {KC_SIGVITAL, kern.peers.creator_thread, SE_OK, 1};

    peer_reply(peer_find(kern.peers.creator), msg, sizeof(msg));
}

int main(int argc, char **argv)
{
    size_t heap;

    read_kenv(argc, argv);
    init_members();
    init_memory();
    announce();
    init_modules();
    init_endpoints();
    init_pes();
    read_peers(argc, argv);
    kern.peers.incarnation = incarnation();
    heap = heap_blocks(); /* bytes depend on how blocks were split */
    if (kern.peers.secondary)
        report_alive();
    start_all(argc, argv);
    serve();
    say_goodbye();
    if (kern.stats.failed > 0 || kern.stats.strays > 0 || heap_blocks() != heap)
        summary(heap);
    if (kern.peers.secondary)
        end_here(kern.stats.failed > 0 || heap_blocks() != heap);
    end_machine(kern.stats.failed > 0 || heap_blocks() != heap);
}
