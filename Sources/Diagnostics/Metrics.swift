// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A metric that only grows.
package final class Counter: MetricFamily {
    private let series: SeriesTable<Double>

    init(_ description: MetricDescription) {
        series = SeriesTable(description, initial: 0)
    }

    /// Adds `amount`, which must not be negative, to the series with these label values.
    package func increment(by amount: Double = 1, labels: [String] = []) {
        precondition(amount >= 0, "a counter never goes down")
        series.update(labels) { $0 += amount }
    }

    /// Forgets a series: it is not exposed any more, and would begin anew.
    package func remove(labels: [String]) {
        series.remove(labels)
    }

    func write(to text: inout PrometheusText) {
        text.begin(series.description, type: "counter")
        for (labels, value) in series.sorted {
            text.sample(labels: labels, value: value)
        }
    }
}

/// A metric that goes up and down.
package final class Gauge: MetricFamily {
    private let series: SeriesTable<Double>

    init(_ description: MetricDescription) {
        series = SeriesTable(description, initial: 0)
    }

    /// Sets the series with these label values.
    package func set(_ value: Double, labels: [String] = []) {
        series.update(labels) { $0 = value }
    }

    /// Forgets a series: it is not exposed any more.
    package func remove(labels: [String]) {
        series.remove(labels)
    }

    func write(to text: inout PrometheusText) {
        text.begin(series.description, type: "gauge")
        for (labels, value) in series.sorted {
            text.sample(labels: labels, value: value)
        }
    }
}

/// A metric that sorts observations into buckets.
package final class Histogram: MetricFamily {
    private struct Observations {
        /// How many fell into each bucket; the last one is that without a bound.
        var counts: [Int]
        var sum = 0.0
    }

    private let buckets: [Double]
    private let series: SeriesTable<Observations>

    init(_ description: MetricDescription, buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "bucket bounds must rise")
        self.buckets = buckets
        series = SeriesTable(description, initial: Observations(counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    /// Counts `value` in the series with these label values. A value on a bound belongs to the bucket below it.
    package func observe(_ value: Double, labels: [String] = []) {
        let bucket = buckets.firstIndex { value <= $0 } ?? buckets.count
        series.update(labels) {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    /// Forgets a series: it is not exposed any more, and would begin anew.
    package func remove(labels: [String]) {
        series.remove(labels)
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
