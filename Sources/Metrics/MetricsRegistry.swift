// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The name, help and label names of a metric.
package struct MetricDescription: Sendable, Hashable {
    /// Letters, digits, `_` and `:`, not beginning with a digit: `process_open_fds`.
    package var name: String
    package var help: String
    /// Every series of the metric has one value for each of these, in this order.
    package var labelNames: [String]

    package init(name: String, help: String, labelNames: [String] = []) {
        self.name = name
        self.help = help
        self.labelNames = labelNames
    }
}

/// The metrics of a process, and their exposition as Prometheus scrapes it.
///
/// A metric is created once, by the type that updates it. All metrics may be updated concurrently; an update takes one
/// lock of its metric.
package final class MetricsRegistry: Sendable {
    /// Reads metrics at the scrape.
    package typealias Collector = @Sendable () -> [CollectedMetric]

    // None of these locks is held while another one is taken.
    private let families = Mutex<[String: any MetricFamily]>([:])
    private let collectors = Mutex<[Collector]>([])
    private let commonLabel = Mutex<CommonLabel?>(nil)

    package init() {}

    /// Creates a counter. A name may be used once in a registry.
    package func counter(_ description: MetricDescription) -> Counter {
        let counter = Counter(description)
        add(counter, name: description.name)
        return counter
    }

    /// Creates a gauge. A name may be used once in a registry.
    package func gauge(_ description: MetricDescription) -> Gauge {
        let gauge = Gauge(description)
        add(gauge, name: description.name)
        return gauge
    }

    /// Creates a histogram. A name may be used once in a registry.
    ///
    /// - Parameter buckets: the inclusive upper bounds, increasing; the bucket `+Inf` is added.
    package func histogram(_ description: MetricDescription, buckets: [Double]) -> Histogram {
        let histogram = Histogram(description, buckets: buckets)
        add(histogram, name: description.name)
        return histogram
    }

    /// Adds the metrics that `collector` returns at each scrape: for values that another type holds. Their names must
    /// not be used by another metric of the registry.
    package func collect(_ collector: @escaping Collector) {
        collectors.withLock { $0.append(collector) }
    }

    /// Sets the common label, which precedes a metric's own labels. A second call replaces the first label.
    package func set(_ label: CommonLabel) {
        commonLabel.withLock { $0 = label }
    }

    /// All metrics, sorted by name and label values: equal values give equal texts. A metric with labels has samples once
    /// it has a series.
    package func exposition(_ format: ExpositionFormat = .prometheusText) -> String {
        var all = families.withLock { $0 }
        for collector in collectors.withLock({ $0 }) {
            for metric in collector() { all[metric.description.name] = metric }
        }
        var text = PrometheusText(format, commonLabel: commonLabel.withLock { $0 })
        for (_, family) in all.sorted(by: { $0.key < $1.key }) {
            family.write(to: &text)
        }
        text.end()
        return text.output
    }

    private func add(_ family: any MetricFamily, name: String) {
        let previous = families.withLock { $0.updateValue(family, forKey: name) }
        precondition(previous == nil, "duplicate metric \(name)")
    }
}

/// A label that several metrics have, with one value for the whole process. It is added at the scrape, because the
/// value may not be known when the first sample is counted.
package struct CommonLabel: Sendable {
    package var name: String
    /// Whether the metric of this name has the label.
    package var isOnMetric: @Sendable (_ name: String) -> Bool
    /// Called once for each scrape.
    package var value: @Sendable () -> String

    package init(
        name: String,
        isOnMetric: @escaping @Sendable (_ name: String) -> Bool,
        value: @escaping @Sendable () -> String
    ) {
        self.name = name
        self.isOnMetric = isOnMetric
        self.value = value
    }
}

/// A metric with all its series.
protocol MetricFamily: Sendable {
    func write(to text: inout PrometheusText)
}
