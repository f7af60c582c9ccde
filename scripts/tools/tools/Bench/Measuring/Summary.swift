// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The values of one figure over all runs.
struct Summary: Equatable, Sendable {
    /// In the order of the runs; never empty.
    let values: [Double]
    let median: Double
    let minimum: Double
    let maximum: Double

    /// nil when there is no value.
    init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let minimum = sorted.first, let maximum = sorted.last else { return nil }
        self.values = values
        self.minimum = minimum
        self.maximum = maximum
        let middle = sorted.count / 2
        median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}
