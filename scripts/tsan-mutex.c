// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// For test.sh --sanitize=thread: declares locking to the thread sanitizer that it cannot observe.
//
// Swift's Mutex acquires a free lock by an atomic operation, which is compiled into our code, but a contended one by a
// system call in libswiftSynchronization, which is not instrumented. The sanitizer would report a race between accesses
// that only the latter orders. Linked into the tests, these functions override the library's (Swift 6.3,
// Mutex/LinuxImpl.swift), call them and declare the order.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>
#include <stdint.h>

// A method's self is passed in the context register.
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
