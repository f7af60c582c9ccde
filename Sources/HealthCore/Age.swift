// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The time since a moment in kubectl's form: `12s`, `3m`, `5h`, `4d`.
///
/// Source: k8s.io/apimachinery, pkg/util/duration, `HumanDuration`.
///
/// - Parameter seconds: may be negative by a second, because clocks differ.
package func age(_ seconds: Int64) -> String {
    let (minute, hour, day, year): (Int64, Int64, Int64, Int64) = (60, 3600, 86_400, 365 * 86_400)
    switch seconds {
    case ..<(-1): return "<invalid>"
    case ..<0: return "0s"
    case ..<(2 * minute): return "\(seconds)s"
    case ..<(10 * minute): return parts(seconds, minute, "m", 1, "s")
    case ..<(3 * hour): return "\(seconds / minute)m"
    case ..<(8 * hour): return parts(seconds, hour, "h", minute, "m")
    case ..<(2 * day): return "\(seconds / hour)h"
    case ..<(8 * day): return parts(seconds, day, "d", hour, "h")
    case ..<(2 * year): return "\(seconds / day)d"
    case ..<(8 * year): return parts(seconds, year, "y", day, "d")
    default: return "\(seconds / year)y"
    }
}

/// The age of a wall clock time in seconds, negative if it is in the future; both times are in seconds since 1970.
///
/// Valid for any number: clients choose the times in objects, and the API server does not validate times in protobuf.
/// More than 100 years count as 100 years, so that sums and conversions of ages do not overflow.
package func ageInSeconds(of time: Int64, now: Int64) -> Int64 {
    let limit: Int128 = 100 * 365 * 86_400
    return Int64(min(max(Int128(now) - Int128(time), -limit), limit))
}

/// A number of large units, and the rest in small units unless it is zero.
private func parts(_ seconds: Int64, _ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String
{
    let rest = seconds % large / small
    return "\(seconds / large)\(largeUnit)" + (rest == 0 ? "" : "\(rest)\(smallUnit)")
}
