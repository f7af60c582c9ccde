// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// glibc's mallopt, whose header is not in Swift's module of glibc.

#ifndef CMALLOC_SHIM_H
#define CMALLOC_SHIM_H

#include <malloc.h>

#endif
