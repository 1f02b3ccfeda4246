/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sempervm doctor.  It looks at everything that stopped a machine from starting on some host, and
 * at what limits its size; it changes nothing.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS_PER_PE   3u  /* VM, vCPU, memory */
#define FDS_OTHER    32u /* of the process itself */
#define KIB_PER_PE   1024u
#define PES_USUAL    16u
#define PES_MOST     1022u
#define SLOTS_NEEDED 8

struct report {
    FILE *out;
    bool failed;
};

static void __attribute__((format(printf, 3, 4)))
say(struct report *r, const char *verdict, const char *fmt, ...)
{
    va_list ap;

    r->failed |= strcmp(verdict, "fail") == 0;
    fprintf(r->out, "%-4s  ", verdict);
    va_start(ap, fmt);
    vfprintf(r->out, fmt, ap);
    va_end(ap);
    fputc('\n', r->out);
}

/* ---- facts of the host ----------------------------------------------------------------------- */

/* The first word of a file as a number, -1 if there is none. */
static int64_t read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    int64_t n = -1;

    if (f) {
        if (fscanf(f, "%" SCNd64, &n) != 1)
            n = -1;
        fclose(f);
    }
    return n;
}

/* "NAME: 123 kB" in /proc/meminfo, -1 if it is not there. */
static int64_t meminfo(const char *name)
{
    FILE *f = fopen("/proc/meminfo", "re");
    size_t n = strlen(name);
    char line[256];
    int64_t value = -1;

    while (f && value < 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            value = strtoll(line + n + 1, NULL, 10);
    if (f)
        fclose(f);
    return value;
}

/* Does the first CPU have this flag? */
static bool cpu_flag(const char *flag)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char *line = NULL, *save = NULL;
    size_t size = 0;
    bool found = false, flags = false;

    while (f && !flags && getline(&line, &size, f) > 0) {
        flags = strncmp(line, "flags", 5) == 0;
        if (!flags)
            continue;
        for (char *w = strtok_r(line, " \t\n", &save); w && !found;
             w = strtok_r(NULL, " \t\n", &save))
            found = strcmp(w, flag) == 0;
    }
    free(line);
    if (f)
        fclose(f);
    return found;
}

static bool module_there(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/module/%s", name);
    return access(path, F_OK) == 0;
}

const char *doctor_kvm_flavour(void)
{
    bool nested = cpu_flag("hypervisor");

    if (access("/dev/kvm", F_OK) < 0)
        return "none";
    if (module_there("kvm_pvm"))
        return "kvm_pvm";
    if (module_there("kvm_intel") || cpu_flag("vmx"))
        return nested ? "kvm_intel (nested)" : "kvm_intel";
    if (module_there("kvm_amd") || cpu_flag("svm"))
        return nested ? "kvm_amd (nested)" : "kvm_amd";
    return "unknown";
}

/* ---- KVM ------------------------------------------------------------------------------------- */

/* The remedy depends on whether a group may open it. */
static void no_permission(struct report *r)
{
    struct stat st = {0};

    if (stat("/dev/kvm", &st) == 0 && (st.st_mode & 060) == 060 && st.st_gid != 0)
        say(r, "fail",
            "/dev/kvm: permission denied; add yourself to its group (%u) with usermod -aG and log "
            "in again",
            (unsigned)st.st_gid);
    else
        say(r, "fail",
            "/dev/kvm: permission denied; as root: chgrp kvm /dev/kvm, chmod 660 "
            "/dev/kvm, usermod -aG kvm $USER; then log in again");
}

static int open_kvm(struct report *r)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        say(r, "ok", "/dev/kvm: opens");
    else if (errno == ENOENT)
        say(r, "fail",
            "/dev/kvm: not there; enable virtualisation in the firmware, then modprobe "
            "kvm_intel or kvm_amd (in a container: pass the device in)");
    else if (errno == EACCES || errno == EPERM)
        no_permission(r);
    else
        say(r, "fail", "/dev/kvm: %s; load the module: modprobe kvm_intel or kvm_amd",
            strerror(errno));
    return fd;
}

static void check_version(struct report *r, int kvm)
{
    int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

    if (version == 12)
        say(r, "ok", "KVM API: version 12");
    else
        say(r, "fail", "KVM API: version %d, want 12; use a current Linux kernel", version);
}

static void check_flavour(struct report *r)
{
    const char *flavour = doctor_kvm_flavour();

    if (strcmp(flavour, "kvm_pvm") == 0)
        say(r, "warn",
            "KVM flavour: kvm_pvm; works, but an exit costs 8 to 25 us; for speed use a "
            "host with VT-x or AMD-V");
    else if (strstr(flavour, "nested"))
        say(r, "warn", "KVM flavour: %s; works, but exits are slow; for speed use the outer host",
            flavour);
    else if (strcmp(flavour, "unknown") == 0)
        say(r, "warn", "KVM flavour: unknown; try it: make test");
    else
        say(r, "ok", "KVM flavour: %s", flavour);
}

static void check_capabilities(struct report *r, int kvm)
{
    static const struct {
        int cap, least;
        const char *name;
    } caps[] = {
        {KVM_CAP_USER_MEMORY, 1, "USER_MEMORY"},
        {KVM_CAP_READONLY_MEM, 1, "READONLY_MEM"},
        {KVM_CAP_COALESCED_MMIO, 1, "COALESCED_MMIO"},
        {KVM_CAP_IMMEDIATE_EXIT, 1, "IMMEDIATE_EXIT"},
        {KVM_CAP_NR_MEMSLOTS, SLOTS_NEEDED, "NR_MEMSLOTS"},
    };
    bool all = true;

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        int n = ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap);

        if (n >= caps[i].least)
            continue;
        say(r, "fail", "KVM_CAP_%s: %d, want %d; use a Linux kernel of version 5.10 or newer",
            caps[i].name, n, caps[i].least);
        all = false;
    }
    if (all)
        say(r, "ok", "KVM capabilities: all there");
}

static void check_create(struct report *r, int kvm)
{
    int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu = -1;

    if (vm >= 0)
        vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu >= 0)
        say(r, "ok", "KVM: a VM with a vCPU can be created");
    else
        say(r, "fail", "KVM: cannot create a %s: %s; see dmesg, end other virtual machines",
            vm < 0 ? "VM" : "vCPU", strerror(errno));
    if (vcpu >= 0)
        close(vcpu);
    if (vm >= 0)
        close(vm);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* A limit that allows PES core PEs. */
static void rate(struct report *r, const char *what, uint64_t pes, const char *remedy)
{
    if (pes >= PES_MOST)
        say(r, "ok", "%s: enough for %u PEs", what, PES_MOST);
    else if (pes >= PES_USUAL)
        say(r, "warn", "%s: enough for %" PRIu64 " PEs; for more %s", what, pes, remedy);
    else
        say(r, "fail", "%s: enough for %" PRIu64 " PEs only; %s", what, pes, remedy);
}

/* The hard limit counts: a machine raises the soft one itself. */
static void check_files(struct report *r)
{
    struct rlimit l = {0};
    uint64_t n;

    getrlimit(RLIMIT_NOFILE, &l);
    n = l.rlim_max == RLIM_INFINITY ? UINT64_MAX : l.rlim_max;
    rate(r, "file descriptors", n < FDS_OTHER ? 0 : (n - FDS_OTHER) / FDS_PER_PE,
         "raise the hard limit (ulimit -Hn 4096, /etc/security/limits.conf)");
}

static void check_threads(struct report *r)
{
    struct rlimit l = {0};
    int64_t most = read_number("/proc/sys/kernel/threads-max");
    uint64_t n;

    getrlimit(RLIMIT_NPROC, &l);
    n = geteuid() == 0 || l.rlim_cur == RLIM_INFINITY ? UINT64_MAX : l.rlim_cur;
    if (most >= 0 && (uint64_t)most < n)
        n = (uint64_t)most;
    /* A thread per PE; other processes of this user count too. */
    rate(r, "threads", n / 2, "raise ulimit -u and sysctl kernel.threads-max");
}

static void check_memory(struct report *r)
{
    int64_t kib = meminfo("MemAvailable"), policy = read_number("/proc/sys/vm/overcommit_memory");
    struct rlimit l = {0};

    rate(r, "memory", kib < 0 ? 0 : (uint64_t)kib / KIB_PER_PE, "end other programs");
    if (policy == 2)
        say(r, "warn",
            "overcommit: the strict policy may refuse the 8 GiB memory PE, which is "
            "sparse; sysctl vm.overcommit_memory=0");
    else
        say(r, "ok", "overcommit: policy %" PRId64, policy);
    getrlimit(RLIMIT_AS, &l);
    if (l.rlim_cur != RLIM_INFINITY)
        say(r, "warn", "address space: limited to %" PRIu64 " MiB; ulimit -v unlimited",
            (uint64_t)l.rlim_cur >> 20);
}

static void check_cores(struct report *r)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    if (n >= 2)
        say(r, "ok", "cores: %ld", n);
    else
        say(r, "warn", "cores: %ld; PEs take turns on it; give this host two or more", n);
}

int doctor(FILE *out)
{
    struct report r = {.out = out};
    int kvm = open_kvm(&r);

    if (kvm >= 0) {
        check_version(&r, kvm);
        check_flavour(&r);
        check_capabilities(&r, kvm);
        check_create(&r, kvm);
        close(kvm);
    }
    check_files(&r);
    check_threads(&r);
    check_memory(&r);
    check_cores(&r);
    return r.failed ? 3 : 0;
}
