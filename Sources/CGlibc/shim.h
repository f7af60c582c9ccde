// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// What Swift's module of glibc does not have: mallopt and mallinfo2, and dl_iterate_phdr, which glibc declares for
// _GNU_SOURCE only.

#ifndef CGLIBC_SHIM_H
#define CGLIBC_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <link.h>
#include <malloc.h>

#endif
