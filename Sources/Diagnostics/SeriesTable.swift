// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The series of one metric, by their label values.
final class SeriesTable<Value: Sendable>: Sendable {
    let description: MetricDescription
    private let initial: Value
    private let series: Mutex<[[String]: Value]>

    /// A metric without labels has its only series from the beginning; others get a series with their first update.
    init(_ description: MetricDescription, initial: Value) {
        self.description = description
        self.initial = initial
        series = Mutex(description.labelNames.isEmpty ? [[]: initial] : [:])
    }

    func update(_ labels: [String], _ change: (inout Value) -> Void) {
        precondition(
            labels.count == description.labelNames.count,
            "\(description.name) has the labels \(description.labelNames), it was given \(labels.count) values"
        )
        series.withLock { change(&$0[labels, default: initial]) }
    }

    func remove(_ labels: [String]) {
        series.withLock { _ = $0.removeValue(forKey: labels) }
    }

    var sorted: [(labels: [String], value: Value)] {
        series.withLock { $0.map { (labels: $0.key, value: $0.value) } }
            .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
    }
}
