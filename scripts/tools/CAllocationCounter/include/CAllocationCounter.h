// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

/// How many blocks of memory this process has asked for so far, in all of its threads.
///
/// Whoever links this module has its malloc instead of glibc's, which it hands every request on to.
unsigned long CAllocationCounter_count(void);

#endif
