// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

/// The number of allocations of this process so far, in all threads.
///
/// A program that links this module has its malloc, which calls glibc's.
unsigned long CAllocationCounter_count(void);

#endif
