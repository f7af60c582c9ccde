// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// For test.sh --sanitize=thread: shows the thread sanitizer the locking that it cannot see by itself.
//
// Swift's Mutex takes a free lock by an atomic operation, which is compiled into our code, and one that is held by a system
// call in libswiftSynchronization, which is not instrumented: what only the latter orders would be reported as a race.
// Linked into the tests, these functions stand before those of the library (Swift 6.3, Mutex/LinuxImpl.swift), call
// them and say what they order.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>
#include <stdint.h>

// A method's self comes in the register of the context.
#define METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
// Synchronization._MutexHandle._unlockSlow() -> ()
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

METHOD void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
METHOD void unlock_slow(SELF) __asm__(UNLOCK_SLOW);

METHOD void lock_slow(uint32_t thread, SELF) {
    METHOD void (*library)(uint32_t, SELF) = dlsym(RTLD_NEXT, LOCK_SLOW);
    library(thread, self);
    __tsan_acquire(self);
}

METHOD void unlock_slow(SELF) {
    METHOD void (*library)(SELF) = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    __tsan_release(self);
    library(self);
}
