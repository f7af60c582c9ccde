// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

extension Time {
    /// The wall clock's time, to the microsecond: what `metav1.MicroTime` keeps.
    package static func now() -> Time {
        var now = timespec()
        // Cannot fail: the clock exists everywhere and the pointer is to a local variable.
        clock_gettime(CLOCK_REALTIME, &now)
        var time = Time()
        time.seconds = Int64(now.tv_sec)
        time.nanos = Int32(now.tv_nsec / 1000 * 1000)
        return time
    }
}
