// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The times without a call for a volume, while a monitor calls for each volume periodically.
struct CallGaps: Equatable, Sendable {
    /// For each volume the longest gap, in ascending order: between two calls, before the first, or after the last.
    let longest: [Double]
    /// The shortest time between two calls for the same volume; nil when no volume had two.
    let shortest: Double?

    /// - Parameters:
    ///   - calls: in the order of time.
    ///   - volumes: the number of volumes, with and without calls.
    ///   - observed: the period to look at.
    init(_ calls: [(volume: String, time: Double)], volumes: Int, observed: ClosedRange<Double>) {
        var last: [String: Double] = [:]
        var longest: [String: Double] = [:]
        var shortest: Double?
        for call in calls where observed.contains(call.time) {
            let gap = call.time - (last[call.volume] ?? observed.lowerBound)
            longest[call.volume] = max(longest[call.volume] ?? 0, gap)
            if last[call.volume] != nil { shortest = min(shortest ?? gap, gap) }
            last[call.volume] = call.time
        }
        for (volume, time) in last { longest[volume] = max(longest[volume] ?? 0, observed.upperBound - time) }
        let never = max(0, volumes - longest.count)
        self.longest =
            (longest.values + Array(repeating: observed.upperBound - observed.lowerBound, count: never)).sorted()
        self.shortest = shortest
    }

    /// The number of volumes with a gap longer than `limit`.
    func count(longerThan limit: Double) -> Int {
        longest.count { $0 > limit }
    }
}
