// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// What Swift's module of glibc does not have: mallopt and mallinfo2, and dl_iterate_phdr.

#ifndef CGLIBC_SHIM_H
#define CGLIBC_SHIM_H

#include <elf.h>
#include <malloc.h>

// The first members of struct dl_phdr_info. link.h declares it for _GNU_SOURCE only, which must not differ between this
// module and Swift's module of glibc.
struct CGlibc_phdr_info {
    Elf64_Addr dlpi_addr;
    const char *dlpi_name;
    const Elf64_Phdr *dlpi_phdr;
    Elf64_Half dlpi_phnum;
};

int CGlibc_dl_iterate_phdr(
    int (*callback)(struct CGlibc_phdr_info *info, size_t size, void *data),
    void *data
) __asm__("dl_iterate_phdr");

#endif
