/* SPDX-License-Identifier: BSD-2-Clause */
/* A program as small as can be, for the fake machine (part of kernel_fake.c). */
#ifndef KERNEL_FAKE_ELF_H
#define KERNEL_FAKE_ELF_H

size_t fake_elf(void *out, uint64_t addr, uint32_t flags, uint64_t memsz)
{
    static const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 2, 1, 1};
    const uint32_t head[] = {0x003E0002, 1}; /* ET_EXEC, EM_X86_64; version */
    uint64_t entry = addr, phoff = 64, off = 120, filesz = memsz < 16 ? memsz : 16;
    uint16_t tail[] = {64, 56, 1};
    uint32_t load[] = {1, flags};
    uint8_t *p = out;

    memset(p, 0, 136);
    memcpy(p, ident, sizeof(ident));
    memcpy(p + 16, head, sizeof(head));
    memcpy(p + 24, &entry, 8);
    memcpy(p + 32, &phoff, 8);
    memcpy(p + 52, tail, sizeof(tail));
    memcpy(p + 64, load, sizeof(load));
    memcpy(p + 72, &off, 8);
    memcpy(p + 80, &addr, 8);
    memcpy(p + 88, &addr, 8);
    memcpy(p + 96, &filesz, 8);
    memcpy(p + 104, &memsz, 8);
    memset(p + 120, 0xCC, 16);
    return 136;
}

#endif
