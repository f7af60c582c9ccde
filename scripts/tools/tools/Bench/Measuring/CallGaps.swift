// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How long volumes were left alone while a driver is asked for each of them again and again.
struct CallGaps: Equatable, Sendable {
    /// For each volume the longest time without a call, in ascending order: between two calls, from the beginning to the
    /// first, from the last to the end.
    let longest: [Double]
    /// The shortest time between two calls for one volume; nil when no volume had two.
    let shortest: Double?

    /// - Parameters:
    ///   - calls: in the order of their times.
    ///   - volumes: how many there are, called for or not.
    ///   - observed: from when to when calls were watched for.
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

    /// How many volumes were left alone for longer than this.
    func count(longerThan limit: Double) -> Int {
        longest.count { $0 > limit }
    }
}
