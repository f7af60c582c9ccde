// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A metric that only increases.
package final class Counter: MetricFamily {
    private let series: SeriesTable<Double>

    init(_ description: MetricDescription) {
        series = SeriesTable(description, initial: 0)
    }

    /// Adds `amount`, which must not be negative, to the series with these label values.
    package func increment(by amount: Double = 1, labels: [String] = []) {
        precondition(amount >= 0, "a counter must not decrease")
        series.update(labels) { $0 += amount }
    }

    func write(to text: inout PrometheusText) {
        text.begin(series.description, type: "counter")
        for (labels, value) in series.sorted {
            text.sample(labels: labels, value: value)
        }
    }
}

/// A metric that increases and decreases.
package final class Gauge: MetricFamily {
    private let series: SeriesTable<Double>

    init(_ description: MetricDescription) {
        series = SeriesTable(description, initial: 0)
    }

    /// Sets the series with these label values.
    package func set(_ value: Double, labels: [String] = []) {
        series.update(labels) { $0 = value }
    }

    func write(to text: inout PrometheusText) {
        text.begin(series.description, type: "gauge")
        for (labels, value) in series.sorted {
            text.sample(labels: labels, value: value)
        }
    }
}

/// A metric that counts observations in buckets.
package final class Histogram: MetricFamily {
    private struct Observations {
        /// Not cumulative; the last bucket is the one without an upper bound.
        var counts: [Int]
        var sum = 0.0
    }

    private let buckets: [Double]
    private let series: SeriesTable<Observations>

    init(_ description: MetricDescription, buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "bucket bounds must increase")
        self.buckets = buckets
        series = SeriesTable(description, initial: Observations(counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    /// Counts `value` in the series with these label values. Bounds are inclusive.
    package func observe(_ value: Double, labels: [String] = []) {
        let bucket = buckets.firstIndex { value <= $0 } ?? buckets.count
        series.update(labels) {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    func write(to text: inout PrometheusText) {
        text.begin(series.description, type: "histogram")
        for (labels, observations) in series.sorted {
            var total = 0
            for (bound, count) in zip(buckets + [.infinity], observations.counts) {
                total += count
                text.sample(suffix: "_bucket", labels: labels, upperBound: bound, value: Double(total))
            }
            text.sample(suffix: "_sum", labels: labels, value: observations.sum)
            text.sample(suffix: "_count", labels: labels, value: Double(total))
        }
    }
}

/// The series of one metric, by their label values. No other lock is taken under its lock.
private final class SeriesTable<Value: Sendable>: Sendable {
    let description: MetricDescription
    private let initial: Value
    private let series: Mutex<[[String]: Value]>

    /// A metric without labels has its only series from the start; others get a series with its first update.
    init(_ description: MetricDescription, initial: Value) {
        self.description = description
        self.initial = initial
        series = Mutex(description.labelNames.isEmpty ? [[]: initial] : [:])
    }

    func update(_ labels: [String], _ change: (inout Value) -> Void) {
        precondition(
            labels.count == description.labelNames.count,
            "\(description.name) has the labels \(description.labelNames), got \(labels.count) values"
        )
        series.withLock { change(&$0[labels, default: initial]) }
    }

    var sorted: [(labels: [String], value: Value)] {
        series.withLock { $0.map { (labels: $0.key, value: $0.value) } }
            .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
    }
}
