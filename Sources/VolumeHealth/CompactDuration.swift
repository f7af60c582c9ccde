// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A `Duration` in half of its bytes: whole nanoseconds, rounded down, and at most 292 years.
struct CompactDuration: Sendable, Hashable, Comparable {
    private let nanoseconds: Int64

    init(_ duration: Duration) {
        let (whole, rest) = duration.attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        nanoseconds = Int64(clamping: rest < 0 ? whole - 1 : whole)
    }

    var duration: Duration { .nanoseconds(nanoseconds) }

    static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
}
