// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// The wall-clock time of a log line: local time in text, milliseconds since 1970 in JSON.
struct LogTime: Sendable {
    private let seconds: Int
    private let nanoseconds: Int
    private let month: Int32
    private let day: Int32
    private let hour: Int32
    private let minute: Int32
    private let second: Int32

    init(secondsSince1970 seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
        var time: time_t = seconds
        var local = unsafe tm()
        // Safe: both pointers are to local variables. It fails only where the year overflows an int.
        unsafe localtime_r(&time, &local)
        month = unsafe local.tm_mon + 1
        day = unsafe local.tm_mday
        hour = unsafe local.tm_hour
        minute = unsafe local.tm_min
        second = unsafe local.tm_sec
    }

    static func now() -> LogTime {
        var time = timespec()
        // Safe: the pointer is to a local variable.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(secondsSince1970: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    /// `0420 09:39:53.317402`
    var klogTimestamp: String {
        let microseconds = "\(nanoseconds / 1000)".leftPadded(to: 6, with: "0")
        return "\(two(month))\(two(day)) \(two(hour)):\(two(minute)):\(two(second)).\(microseconds)"
    }

    /// Milliseconds since 1970: `1713605993317.402`
    var milliseconds: String {
        let microseconds = (nanoseconds / 1000) % 1000
        let whole = "\(seconds * 1000 + nanoseconds / 1_000_000)"
        return microseconds == 0 ? whole : whole + "." + "\(microseconds)".leftPadded(to: 3, with: "0")
    }

    private func two(_ number: Int32) -> String {
        "\(number)".leftPadded(to: 2, with: "0")
    }
}
