/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a machine hands to its programs at boot: memory map, Env, KEnv, boot modules, PE
 * descriptors (semperos-platform 1-3).  Offsets are the original's and are asserted.
 */
#ifndef SEMPER_BOOT_H
#define SEMPER_BOOT_H

#include <stdint.h>

/* Local memory of a PE with a CPU (semperos-platform 3). */
#define PE_IDLE_ADDR     0x1000ull
#define PE_ENV_ADDR      0x3000ull
#define PE_RT_SIZE       0x20000ull /* Env, arguments, serialized state */
#define PE_GUARD         0x13000ull /* a page that the CPU cannot touch; above it is all stack */
#define PE_STACK_BOTTOM  0x23000ull /* the original's */
#define PE_STACK_TOP     0x24000ull
#define PE_PROGRAM_ADDR  0x200000ull /* first link address; programs are 0x10000 apart */
#define PE_RECVBUF_SIZE  0x20000ull  /* receive buffers, at the end of memory */
#define PE_SPM_DEFAULT   (8ull << 20)
#define PE_ENTRY_MAGIC   0xDEADBEEFull /* RAX when RSP is already set (crt0) */
#define PE_IDENTITY_SIZE (24ull << 30) /* VA = GPA below this */

/* The memory PE. */
#define MEM_PE          0u
#define KERNEL_PE       1u
#define MEM_SIZE        (8192ull << 20)
#define MEM_MODULES     (6144ull << 20)
#define MEM_MODULES_MAX (16ull << 20)
#define MEM_FREE        (MEM_MODULES + MEM_MODULES_MAX)

enum pe_type { PE_TYPE_SPM = 0, PE_TYPE_CACHE = 1, PE_TYPE_MEM = 2 };

/* PE descriptor: id 63:54, memory size in place (a multiple of 8), type 2:0. */
static inline uint64_t pe_desc(unsigned pe, uint64_t size, unsigned type)
{
    return (uint64_t)pe << 54 | (size & ((1ull << 54) - 8)) | (type & 7);
}
static inline unsigned pe_desc_id(uint64_t d)
{
    return (unsigned)(d >> 54);
}
static inline uint64_t pe_desc_size(uint64_t d)
{
    return d & ((1ull << 54) - 8);
}
static inline unsigned pe_desc_type(uint64_t d)
{
    return (unsigned)(d & 7);
}

/* At PE_ENV_ADDR of every PE.  entry != 0 is what idle waits for. */
struct boot_env {
    uint64_t coreid;
    uint32_t argc;
    uint64_t argv; /* local address of argc pointers; the strings follow, contiguous, in order */
    uint64_t sp;
    uint64_t entry;
    uint64_t lambda;
    uint32_t pager_sess;
    uint32_t pager_gate;
    uint32_t mounts_len;
    uint64_t mounts;
    uint32_t fds_len;
    uint64_t fds;
    uint64_t eps;
    uint64_t caps;
    uint64_t exitaddr;
    uint64_t heapsize; /* 0 = all of the local memory */
    uint64_t backend;
    uint64_t kenv; /* NoC address of KEnv; kernels only */
    uint64_t pe;   /* PE descriptor */
    uint64_t secondaryrecvbuf;
} __attribute__((packed));
_Static_assert(sizeof(struct boot_env) == 140, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_env, argv) == 12, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_env, entry) == 28, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_env, exitaddr) == 92, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_env, kenv) == 116, "semperos-platform 1");

#define BOOT_MODULES 64u
#define BOOT_PES     1024u

struct boot_module {
    char name[128]; /* bare file name; a kernel matches up to NUL or blank */
    uint64_t addr;  /* NoC address of the whole ELF file */
    uint64_t size;
} __attribute__((packed));
_Static_assert(sizeof(struct boot_module) == 144, "semperos-platform 1");

struct boot_mem_mod {
    uint64_t pe;
    uint64_t offset;
    uint64_t size;
} __attribute__((packed));

struct boot_kenv {
    uint64_t mods[BOOT_MODULES]; /* NoC addresses of boot_module records, 0 ends */
    uint64_t pe_count;
    uint64_t pes[BOOT_PES];
    uint32_t kernel_id;
    uint32_t creator_kernel_id; /* equal to kernel_id: this is the first kernel */
    uint32_t creator_core;
    int32_t creator_thread;
    int32_t creator_ep;
    struct boot_mem_mod mem_mods[4];
    uint64_t mem_offset;
    uint64_t member_table;
    uint64_t ddl_partitions;
    uint64_t ddl_partitions_size;
} __attribute__((packed));
_Static_assert(sizeof(struct boot_kenv) == 8860, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_kenv, pes) == 520, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_kenv, kernel_id) == 8712, "semperos-platform 1");
_Static_assert(__builtin_offsetof(struct boot_kenv, mem_mods) == 8732, "semperos-platform 1");

/* A system-call gate per application: endpoints fixed by the kernel (dtu-spec 8.1). */
#define VPE_EP_SYSC 0u
#define VPE_EP_RECV 1u
#define VPE_EP_FREE 2u

/* gem5's pseudo-instructions, 0F 04 imm16 (semperos-platform 6). */
enum gem5_op { GEM5_EXIT = 0x21, GEM5_WRITEFILE = 0x4F, GEM5_READFILE = 0x50 };

#endif
