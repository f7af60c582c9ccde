// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// A date and a time of day in UTC, in whole seconds.
package struct UTCDate: Sendable, Hashable {
    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private let year: Int
    /// From 0.
    private let month: Int
    private let day: Int
    /// From 0, which is Sunday.
    private let weekday: Int
    /// `09:39:53`
    private let time: String

    /// Fractions of a second are truncated.
    package init(secondsSince1970 seconds: Double) {
        var wholeSeconds = time_t(seconds)
        var utc = unsafe tm()
        // Safe: both pointers are to local variables. It fails only where the year overflows an int.
        unsafe gmtime_r(&wholeSeconds, &utc)
        year = unsafe Int(utc.tm_year) + 1900
        month = unsafe Int(utc.tm_mon)
        day = unsafe Int(utc.tm_mday)
        weekday = unsafe Int(utc.tm_wday)
        time = unsafe [utc.tm_hour, utc.tm_min, utc.tm_sec].map { Self.padded(Int($0), "0") }.joined(
            separator: ":"
        )
    }

    /// Of the current time.
    static var currentSecondsSince1970: Double {
        var time = timespec()
        // Safe: the pointer is to a local variable.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// `2026-04-20T09:39:53Z`
    package var rfc3339: String { "\(year)-\(Self.padded(month + 1, "0"))-\(Self.padded(day, "0"))T\(time)Z" }

    /// `Mon Apr 20 09:39:53 UTC 2026`: Go's `time.UnixDate`.
    package var unixDate: String {
        "\(Self.weekdays[weekday]) \(Self.months[month]) \(Self.padded(day, " ")) \(time) UTC \(year)"
    }

    private static func padded(_ number: Int, _ character: String) -> String {
        number < 10 ? "\(character)\(number)" : "\(number)"
    }
}
