/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/diag.c vmm/elf.c vmm/bootline.c vmm/machine.c vmm/images.c vmm/ini.c vmm/cfg.c */
/* LINK: vmm/nodes.c vmm/nodes_check.c vmm/validate.c vmm/loader.c vmm/loader_pe.c */
/*
 * Machines of several nodes: their sections, options, defaults, and what each node is given to
 * boot.
 */
#include "machine_fixture.h"

#include <errno.h>
#include <sys/mman.h>

#include "../../include/dtu.h"
#include "../../vmm/loader.h"

#define TWO                                                               \
    "[node 0]\npes = 1-4\nline = kernel hello\nlisten = 127.0.0.1:7000\n" \
    "[node 1]\npes = 5-8\nline = kernel hello\nlisten = 127.0.0.1:7001\n"

static void setup(void)
{
    fx_setup();
    put_program("bridge", 0x220000, 60);
    unsetenv("SLURM_PROCID");
    unsetenv("OMPI_COMM_WORLD_RANK");
    unsetenv("PMI_RANK");
    setenv("HOSTNAME", "somewhere", 1);
}

static int parse(const char *ini)
{
    return machine_from_text(&m, at("m.ini"), ini, &d);
}

static void valid(const char *ini, const char *node)
{
    ck_assert_int_eq(parse(ini), 0);
    if (node)
        ck_assert_int_eq(machine_set_node(&m, node, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    no_complaint();
}

/* ---- what is right --------------------------------------------------------------------------- */

START_TEST(defaults)
{
    valid(TWO, "1");
    ck_assert_uint_eq(m.nnodes, 2);
    ck_assert_uint_eq(m.node[0].memory, 0);
    ck_assert_uint_eq(m.node[1].memory, 991);
    ck_assert_uint_eq(m.node[0].bridge, 1022);
    ck_assert_uint_eq(m.node[1].bridge, 1021);
    ck_assert_mem_eq(m.node[1].mac, "\x52\x53\x56\x00\x00\x01", 6);
    ck_assert_str_eq(m.node[1].ip4, "10.83.0.2");
    ck_assert_str_eq(m.node[1].ip6, "fd83::2");
    ck_assert_str_eq(m.node[0].at, "127.0.0.1:7000");
    ck_assert_str_eq(m.link_program, "bridge");
    ck_assert_str_eq(words(), "kernel hello");

    ck_assert_uint_eq(machine_mem_pe(&m), 991);
    ck_assert_uint_eq(machine_first_pe(&m), 5);
    ck_assert_uint_eq(machine_npes(&m), 5);
    ck_assert_uint_eq(machine_pe(&m, 0), 5);
    ck_assert_uint_eq(machine_pe(&m, 3), 8);
    ck_assert_uint_eq(machine_pe(&m, 4), 1021);
    ck_assert_uint_eq(machine_nic_pe(&m), 1021);
    ck_assert(!machine_owns(&m, 4) && machine_owns(&m, 5) && machine_owns(&m, 8));
    ck_assert(!machine_owns(&m, 9) && !machine_owns(&m, 1021));
    ck_assert_uint_eq(machine_spm(&m, 5), 8u << 20);
    ck_assert_uint_eq(machine_spm(&m, 1021), 16u << 20);
}
END_TEST

START_TEST(everything_said)
{
    valid("[link]\nprogram = hello\n[pe 700]\nspm = 32M\n[pe 2]\nspm = 4M\n"
          "[node 0]\npes = 1 - 2\nline = kernel\n  hello\nmemory = 600\nbridge = 700\n"
          "listen = 0.0.0.0:1\nat = [fd00::1]:2\nmac = 52:54:00:00:00:09\n"
          "address = 10.1.2.3, fd00:0::7\n"
          "[node 1]\npes = 9\nlisten = some-host.example:3\naddress = 10.1.2.4\n",
          "0");
    ck_assert_uint_eq(m.node[0].memory, 600);
    ck_assert_uint_eq(m.node[0].last, 2);
    ck_assert_uint_eq(m.node[1].first, 9);
    ck_assert_uint_eq(m.node[1].last, 9);
    ck_assert_str_eq(m.node[0].ip4, "10.1.2.3");
    ck_assert_str_eq(m.node[0].ip6, "fd00::7");
    ck_assert_str_eq(m.node[1].ip6, "");
    ck_assert_str_eq(words(), "kernel hello");
    ck_assert_uint_eq(machine_spm(&m, 700), 32u << 20);
    /* Node 1 has no boot line: no memory, and its PE is node 0's. */
    ck_assert_uint_eq(m.node[1].memory, MACHINE_NO_PE);
    ck_assert(machine_owns(&m, 1) && machine_owns(&m, 9));
    ck_assert_int_eq(machine_become(&m, 1, &d), 0);
    ck_assert_int_eq(m.argc, 0);
    ck_assert(!machine_owns(&m, 1) && machine_owns(&m, 9));
}
END_TEST

START_TEST(idle_node_needs_pes_of_its_own)
{
    /* The boot line of node 0 may count on the PEs of nodes without one, on others not. */
    ck_assert_int_eq(
        parse("[node 0]\npes = 1-2\nline = kernel hello -- hello -- hello\nlisten = a:1\n"
              "[node 1]\npes = 5-8\nlisten = a:2\n"),
        0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    again();
    ck_assert_int_eq(
        parse("[node 0]\npes = 1-2\nline = kernel hello -- hello -- hello\nlisten = a:1\n"
              "[node 1]\npes = 5-8\nlisten = a:2\nline = kernel\n"),
        0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(3, "boot line needs 4 PEs (kernels and programs), node 0 has 2");
}
END_TEST

START_TEST(sixteen_nodes)
{
    char text[4096];
    size_t n = 0;

    for (unsigned k = 0; k < MACHINE_MAX_NODES; k++)
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "[node %u]\npes = %u-%u\nline = kernel\nlisten = h%u:7\n", k,
                              60 * k + 1, 60 * k + 60, k);
    valid(text, "15");
    ck_assert_uint_eq(machine_first_pe(&m), 901);
}
END_TEST

START_TEST(options)
{
    ck_assert_int_eq(parse(TWO), 0);
    ck_assert_int_eq(machine_set_node(&m, "1", &d), 0);
    ck_assert_int_eq(machine_set_listen(&m, "0.0.0.0:9", &d), 0);
    ck_assert_int_eq(machine_set_peer(&m, "0=far.example:10", &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_str_eq(m.node[1].listen, "0.0.0.0:9");
    ck_assert_str_eq(m.node[1].at, "127.0.0.1:7001");
    ck_assert_str_eq(m.node[0].at, "far.example:10");
}
END_TEST

START_TEST(launchers)
{
    ck_assert_int_eq(machine_node_auto(), -ENOENT);
    setenv("HOSTNAME", "sempervm-3", 1);
    ck_assert_int_eq(machine_node_auto(), 3);
    setenv("HOSTNAME", "sempervm-03x", 1);
    ck_assert_int_eq(machine_node_auto(), -ENOENT);
    setenv("PMI_RANK", "4", 1);
    ck_assert_int_eq(machine_node_auto(), 4);
    setenv("OMPI_COMM_WORLD_RANK", "5", 1);
    ck_assert_int_eq(machine_node_auto(), 5);
    setenv("SLURM_PROCID", "6", 1);
    ck_assert_int_eq(machine_node_auto(), 6);
    setenv("SLURM_PROCID", "16", 1);
    ck_assert_int_eq(machine_set_node(&m, "auto", &d), -EINVAL);
    complains(0, "give --node K");
}
END_TEST

/* ---- what is wrong --------------------------------------------------------------------------- */

static const struct {
    const char *ini;
    int line;
    const char *complaint;
} bad[] = {
    {"[node 16]\n", 1, "wants the number of a node from 0 to 15"},
    {"[node x]\n", 1, "wants the number of a node"},
    {"[node ]\n", 1, "wants the number of a node"},
    {TWO "[node 1]\n", 9, "section [node 1] is there already, in line 5"},
    {TWO "[node 3]\npes = 9\nlisten = a:1\n", 0, "no section [node 2]"},
    {"[node 0]\npes = 1\nline = hello\nlisten = a:1\n", 1, "only one [node K]"},
    {TWO "pes = 9\n", 9, "pes is there already, in line 6"},
    {"[node 0]\npes = 0-3\n", 2, "bad value '0-3' of pes, want PEs like 1-8"},
    {"[node 0]\npes = 1-1023\n", 2, "bad value '1-1023' of pes"},
    {"[node 0]\npes = 4-3\n", 2, "bad value '4-3' of pes"},
    {"[node 0]\npes = 1-\n", 2, "bad value '1-' of pes"},
    {"[node 0]\npes = 1-2x\n", 2, "bad value '1-2x' of pes"},
    {"[node 0]\nmemory = 1023\n", 2, "bad value '1023' of memory"},
    {"[node 0]\nmemory = -1\n", 2, "bad value '-1' of memory"},
    {"[node 0]\nbridge = 0\n", 2, "bad value '0' of bridge"},
    {"[node 0]\nlisten = 127.0.0.1\n", 2, "bad value '127.0.0.1' of listen, want host:port"},
    {"[node 0]\nlisten = :7\n", 2, "of listen"},
    {"[node 0]\nlisten = a:65536\n", 2, "of listen"},
    {"[node 0]\nlisten = a b:1\n", 2, "of listen"},
    {"[node 0]\nlisten = fd00::1:7\n", 2, "of listen"},
    {"[node 0]\nlisten = []:7\n", 2, "of listen"},
    {"[node 0]\nat = x\n", 2, "of at, want host:port"},
    {"[node 0]\nmac = 52:54:00:00:00\n", 2, "of mac"},
    {"[node 0]\nmac = 53:54:00:00:00:01\n", 2, "of mac, want six bytes"},
    {"[node 0]\nmac = 00:00:00:00:00:00\n", 2, "of mac"},
    {"[node 0]\nmac = 52:54:00:00:00:0g\n", 2, "of mac"},
    {"[node 0]\naddress = fd00::1\n", 2, "of address"},
    {"[node 0]\naddress = 1.2.3.4, 1.2.3.5\n", 2, "of address"},
    {"[node 0]\naddress = 1.2.3\n", 2, "of address"},
    {"[node 0]\naddress = 0.0.0.0\n", 2, "of address, want an IPv4 address of a host"},
    {"[node 0]\naddress = 127.0.0.1\n", 2, "of address"},
    {"[node 0]\naddress = 224.0.0.1\n", 2, "of address"},
    {"[node 0]\naddress = 255.255.255.255\n", 2, "of address"},
    {"[node 0]\naddress = 10.0.0.1, ff02::1\n", 2, "of address"},
    {"[node 0]\naddress = 10.0.0.1, ::1\n", 2, "of address"},
    {"[node 0]\naddress = 10.0.0.1, ::\n", 2, "of address"},
    {"[node 0]\nstream = tcp:a:1\n", 2, "of stream, want listen: or connect:"},
    {"[node 0]\nstream = listen:unix:\n", 2, "of stream"},
    {"[node 0]\nstream = connect:udp:a:1\n", 2, "of stream"},
    {"[node 0]\ncolour = red\n", 2, "unknown key 'colour' in [node]"},
    {"[link]\nprogram = ../bridge\n", 2, "of program, want the bare name"},
    {"[link]\nkey =\n", 2, "of key, want a file"},
    {"[node 0]\nline = kernel\nlisten = a:1\n[node 1]\npes = 2\nlisten = a:2\n", 1, "has no PEs"},
    {"[node 0]\npes = 1\nline = kernel\n[node 1]\npes = 2\nlisten = a:2\n", 1, "has no address"},
    {"[node 0]\npes = 1\nlisten = a:1\n[node 1]\npes = 2\nlisten = a:2\n", 1, "no boot line"},
    {"[node 0]\npes = 1\nline =\nlisten = a:1\n[node 1]\npes = 2\nlisten = a:2\n", 3,
     "empty boot line"},
    {"[node 0]\npes = 1-5\nline = kernel\nlisten = a:1\n[node 1]\npes = 5-6\nlisten = a:2\n", 6,
     "PE 5 is among pes of node 0 and pes of node 1"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:1\n[node 1]\npes = 2\nbridge = 1\nlisten = "
     "a:2\n",
     7, "PE 1 is among pes of node 0 and bridge of node 1"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:1\n[node 1]\npes = 2\nmemory = 0\nlisten = "
     "a:2\n",
     7, "PE 0 is among memory of node 0 and memory of node 1"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:1\n[node 1]\npes = 1000-1022\nlisten = a:2\n", 6,
     "PE 1022 is among bridge of node 0 and pes of node 1"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = 0.0.0.0:1\n[node 1]\npes = 2\nlisten = a:2\n", 4,
     "nobody can send to 0.0.0.0:1"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:1\nat = [::]:4\n[node 1]\npes = 2\nlisten = "
     "a:2\n",
     5, "nobody can send to [::]:4"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:0\n[node 1]\npes = 2\nlisten = a:2\n", 4,
     "nobody can send to a:0"},
    {"[node 0]\npes = 1\nline = kernel\nlisten = a:1\n[node 1]\npes = 2\nlisten = a:1\n", 7,
     "nodes 0 and 1 are both at a:1"},
    {TWO "mac = 52:53:56:00:00:00\n", 9, "nodes 0 and 1 have the same mac"},
    {TWO "address = 10.83.0.1\n", 9, "nodes 0 and 1 have the same address"},
    {TWO "address = 10.83.0.9, fd83::1\n", 9, "nodes 0 and 1 have the same address"},
    {"[machine]\npes = 9\n" TWO, 2, "a machine of several nodes has no pes of its own"},
    {"[boot]\nline = kernel\n" TWO, 2, "has no boot line of its own"},
    {"[nic]\npe = 1\n" TWO, 2, "has no [nic]"},
    {"[pe 9]\nspm = 4M\n" TWO, 1, "no node of the machine has that PE"},
    {TWO "stream = listen:tcp:a:1\n", 9, "stream and an address for UDP"},
    {"[node 0]\npes = 1\nline = kernel\nstream = listen:tcp:a:1\n[node 1]\npes = 2\nlisten = a:1\n",
     5, "one node has a stream"},
    {"[node 0]\npes = 1\nline = kernel\nstream = listen:tcp:a:1\n"
     "[node 1]\npes = 2\nstream = listen:tcp:a:1\n",
     7, "one must listen: and one connect:"},
    {"[link]\nkey = k\n[node 0]\npes = 1\nline = kernel\nstream = listen:tcp:a:1\n"
     "[node 1]\npes = 2\nstream = connect:tcp:a:1\n",
     2, "a stream is not sealed"},
    {"[link]\nprogram = nosuch\n" TWO, 2, "program 'nosuch'"},
    {"[nic]\nmac = 52:54:00:00:00:01\n[boot]\nline = hello\n", 0, "the NIC is in no PE"},
    {"[nic]\npe = 17\nudp = a:1\npeer = a:2\n[boot]\nline = hello\n", 2,
     "the NIC is in PE 17, the machine has only 16"},
    {"[nic]\npe = 1\nudp = a:1\n[boot]\nline = hello\n", 2, "wants udp and peer, or stream"},
    {"[nic]\npe = 1\nudp = a:1\npeer = a:2\nstream = listen:tcp:a:1\n[boot]\nline = hello\n", 2,
     "wants udp and peer, or stream"},
    {"[nic]\npe = 0\n", 2, "of pe, want a number from 1 to 1022"},
    {"[nic]\nirq = 2\n", 2, "of irq, want 3 to 7, 9 to 12, 14 or 15"},
    {"[nic]\npe = 1\nirq = 16\n", 3, "of irq, want 3 to 7, 9 to 12, 14 or 15"},
    {"[nic]\nirq = 11\n" TWO, 2, "has no [nic]"},
};

START_TEST(complaints)
{
    int r = parse(bad[_i].ini);

    if (r == 0)
        r = machine_validate(&m, &d);
    ck_assert_int_eq(r, -EINVAL);
    complains(bad[_i].line, bad[_i].complaint);
}
END_TEST

static const struct {
    int (*set)(struct machine *m, const char *value, struct diag *d);
    const char *value, *complaint;
} bad_options[] = {
    {machine_set_node, "16", "bad value '16' of --node"},
    {machine_set_node, "-1", "bad value '-1' of --node"},
    {machine_set_node, "", "bad value '' of --node"},
    {machine_set_peer, "0", "want NODE=host:port"},
    {machine_set_peer, "0=a", "want NODE=host:port"},
    {machine_set_peer, "2=a:1", "the machine has no node 2"},
    {machine_set_listen, "a", "bad value 'a' of --listen"},
    {machine_set_listen, "a:1", "of which node"},
    {machine_set_nic, "pe=1,frog=2", "'frog=2': want pe=N"},
    {machine_set_nic, "pe=0", "bad value '0' of --nic pe"},
};

START_TEST(option_complaints)
{
    ck_assert_int_eq(parse(TWO), 0);
    bad_options[_i].set(&m, bad_options[_i].value, &d);
    complains(0, bad_options[_i].complaint);
}
END_TEST

START_TEST(node_out_of_range)
{
    ck_assert_int_eq(parse(TWO), 0);
    ck_assert_int_eq(machine_set_node(&m, "2", &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "--node 2: the machine has nodes 0 to 1");
    again();
    ck_assert_int_eq(parse("[boot]\nline = hello\n"), 0);
    ck_assert_int_eq(machine_set_node(&m, "0", &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "the machine has one node only");
}
END_TEST

/* ---- what a node gets to boot ---------------------------------------------------------------- */

static struct loader_mem mem;
static struct loader_result res;
static void *memory[16];

static void *zeros(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

static void boot(const char *ini, const char *node)
{
    valid(ini, node);
    mem.mem = memory;
    memory[0] = machine_mem_pe(&m) == MACHINE_NO_PE ? NULL : zeros(m.dram_size);
    for (unsigned i = 0; i < machine_npes(&m); i++)
        memory[1 + i] = zeros(machine_spm(&m, machine_pe(&m, i)));
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), 0);
    no_complaint();
}

static const struct boot_env *env(unsigned place)
{
    return (const struct boot_env *)((const uint8_t *)memory[1 + place] + PE_ENV_ADDR);
}

static const struct boot_kenv *kenv(void)
{
    return (const struct boot_kenv *)((const uint8_t *)memory[0] +
                                      (env(0)->kenv & ((1ull << DTU_OFFSET_BITS) - 1)));
}

/* Word I of that PE's arguments. */
static const char *arg(unsigned place, unsigned i)
{
    const uint8_t *pe = memory[1 + place];
    uint64_t word;

    memcpy(&word, pe + env(place)->argv + 8 * (uint64_t)i, sizeof(word));
    return (const char *)pe + word;
}

START_TEST(kernel_of_a_node)
{
    const struct boot_kenv *k;

    boot(TWO, "1");
    k = kenv();
    ck_assert_uint_eq(env(0)->kenv >> 49 & 0x3FF, 991);
    ck_assert_uint_eq(k->mods[0] >> 49 & 0x3FF, 991);
    ck_assert_uint_eq(k->pe_count, 9);
    for (unsigned pe = 0; pe < BOOT_PES; pe++)
        ck_assert_uint_eq(k->pes[pe], pe >= 5 && pe <= 8 ? pe_desc(pe, 8u << 20, PE_TYPE_SPM)
                                      : pe == 991        ? pe_desc(991, m.dram_size, PE_TYPE_MEM)
                                                         : 0);
    ck_assert_uint_eq(k->mem_mods[0].pe, 991);
    ck_assert_uint_eq(k->mem_mods[0].size, m.dram_size);
    ck_assert_uint_eq(env(0)->coreid, 5);
    ck_assert_uint_eq(env(3)->coreid, 8);
    ck_assert_uint_eq(env(3)->kenv, 0);
    ck_assert_uint_eq(res.entry[1], 0x200000);
}
END_TEST

START_TEST(bridge_of_a_node)
{
    const struct boot_env *e;
    char hashes[64];

    boot(TWO, "1");
    e = env(4);
    ck_assert_uint_eq(e->coreid, 1021);
    ck_assert_uint_eq(e->kenv, 0);
    ck_assert_uint_eq(e->entry, 0);
    ck_assert_uint_eq(e->argc, 5);
    ck_assert_uint_eq(res.entry[5], 0x220000);
    ck_assert_str_eq(arg(4, 0), "bridge");
    ck_assert_str_eq(arg(4, 1), "self=1");
    ck_assert_str_eq(arg(4, 2), "node=0,1,4,0,1022,52:53:56:00:00:00,10.83.0.1,fd83::1");
    ck_assert_str_eq(arg(4, 3), "node=1,5,8,991,1021,52:53:56:00:00:01,10.83.0.2,fd83::2");
    snprintf(hashes, sizeof(hashes), "lines=%x sizes=%x", machine_lines_hash(&m),
             machine_sizes_hash(&m));
    ck_assert_str_eq(arg(4, 4), hashes);
}
END_TEST

/* The hashes of a machine file; what is the affair of one host is not in them. */
static void hash(const char *ini, const char *node, uint32_t *lines, uint32_t *sizes)
{
    again();
    valid(ini, node);
    *lines = machine_lines_hash(&m);
    *sizes = machine_sizes_hash(&m);
}

START_TEST(same_on_all_nodes)
{
    static const char *const same[] = {
        TWO "[boot]\nimages = .\n[run]\nstats = yes\ntimeout = 5\n[link]\noptions = stats\n",
        "[node 0]\npes = 1-4\nline =  kernel \t hello\nlisten = 127.0.0.1:7000\n"
        "[node 1]\npes = 5-8\nline = kernel hello\nlisten = 10.0.0.1:7009\nat = 10.0.0.2:7\n",
    };
    static const char *const lines[] = {
        "[node 0]\npes = 1-4\nline = kernel hello x\nlisten = a:1\n"
        "[node 1]\npes = 5-8\nline = kernel hello\nlisten = b:1\n",
        "[node 0]\npes = 1-4\nline = kernel hello\nlisten = a:1\n"
        "[node 1]\npes = 5-8\nlisten = b:1\n",
        "[node 0]\npes = 1-4\nline = kernel hello kernel\nlisten = a:1\n"
        "[node 1]\npes = 5-8\nline = hello\nlisten = b:1\n",
    };
    static const char *const sizes[] = {TWO "[machine]\nspm = 9M\n", TWO "[machine]\ndram = 9G\n",
                                        TWO "[pe 6]\nspm = 9M\n"};
    uint32_t l, s, l2, s2;

    hash(TWO, "0", &l, &s);
    hash(TWO, "1", &l2, &s2);
    ck_assert(l == l2 && s == s2);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        hash(same[i], "1", &l2, &s2);
        ck_assert_msg(l == l2 && s == s2, "%zu: another machine", i);
    }
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        hash(lines[i], NULL, &l2, &s2);
        ck_assert_msg(l != l2 && s == s2, "%zu: not other lines alone", i);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        hash(sizes[i], NULL, &l2, &s2);
        ck_assert_msg(l == l2 && s != s2, "%zu: not other sizes alone", i);
    }
}
END_TEST

START_TEST(split_machine)
{
    static const char ini[] = "[node 0]\npes = 1-2\nline = kernel hello\nlisten = a:1\n"
                              "[node 1]\npes = 3-4\nlisten = a:2\n";
    const struct boot_kenv *k;

    boot(ini, "0");
    k = kenv();
    ck_assert_uint_eq(k->pe_count, 5);
    ck_assert_uint_eq(k->pes[4], pe_desc(4, 8u << 20, PE_TYPE_SPM));
    ck_assert_uint_eq(k->pes[0], pe_desc(0, m.dram_size, PE_TYPE_MEM));
    loader_free(&res);
    again();
    boot(ini, "1");
    ck_assert_ptr_null(memory[0]);
    ck_assert_uint_eq(res.kenv, 0);
    ck_assert_uint_eq(env(0)->coreid, 3);
    ck_assert_uint_eq(env(0)->kenv, 0);
    ck_assert_uint_eq(res.entry[1], 0x1000);
    ck_assert_uint_eq(res.entry[3], 0x220000);
    ck_assert_str_eq(arg(2, 3), "node=1,3,4,65535,1021,52:53:56:00:00:01,10.83.0.2,fd83::2");
}
END_TEST

static void teardown(void)
{
    loader_free(&res);
    fx_teardown();
}

int main(void)
{
    Suite *s = suite_create("nodes");
    TCase *t = tcase_create("nodes");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, defaults);
    tcase_add_test(t, everything_said);
    tcase_add_test(t, idle_node_needs_pes_of_its_own);
    tcase_add_test(t, sixteen_nodes);
    tcase_add_test(t, options);
    tcase_add_test(t, launchers);
    tcase_add_loop_test(t, complaints, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_loop_test(t, option_complaints, 0, sizeof(bad_options) / sizeof(bad_options[0]));
    tcase_add_test(t, node_out_of_range);
    tcase_add_test(t, kernel_of_a_node);
    tcase_add_test(t, bridge_of_a_node);
    tcase_add_test(t, split_machine);
    tcase_add_test(t, same_on_all_nodes);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
