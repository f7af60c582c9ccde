// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// gRPC core (libgrpc), and inline functions for what Swift cannot call: function-like macros.

#ifndef CGRPC_SHIM_H
#define CGRPC_SHIM_H

// First: in some builds sys/select.h is read before the macros that it needs are defined.
#include <features.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

/// GRPC_SLICE_START_PTR: the slice's first byte. The slice must outlive the pointer's use.
static inline const uint8_t *CGRPC_slice_start(const grpc_slice *slice) {
    return GRPC_SLICE_START_PTR(*slice);
}

/// GRPC_SLICE_LENGTH: the number of bytes of the slice.
static inline size_t CGRPC_slice_length(const grpc_slice *slice) {
    return GRPC_SLICE_LENGTH(*slice);
}

/// GRPC_PROPAGATE_DEFAULTS: what a call inherits from a parent; a macro over the bits of an enum.
static inline uint32_t CGRPC_propagate_defaults(void) {
    return GRPC_PROPAGATE_DEFAULTS;
}

#endif
