// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// What a metric is: its name, the text that explains it, and the names of its labels.
package struct MetricDescription: Sendable, Hashable {
    /// `csi_sidecar_operations_seconds`: letters, digits, `_` and `:`, not beginning with a digit.
    package var name: String
    /// One sentence for the reader of the metrics page.
    package var help: String
    /// Every series of the metric has one value for each of these, in this order.
    package var labelNames: [String]

    /// Describes a metric.
    package init(name: String, help: String, labelNames: [String] = []) {
        self.name = name
        self.help = help
        self.labelNames = labelNames
    }
}

/// The metrics of a process, and their text as Prometheus scrapes it.
///
/// A metric is made once, where it is used, and its handle kept. All handles may be used from everywhere at the same
/// time; an update takes one uncontended lock.
package final class MetricsRegistry: Sendable {
    /// Metrics that are read at the scrape.
    package typealias Collector = @Sendable () -> [CollectedMetric]

    private let families = Mutex<[String: any MetricFamily]>([:])
    private let collectors = Mutex<[Collector]>([])
    private let commonLabel = Mutex<CommonLabel?>(nil)

    /// A registry without metrics.
    package init() {}

    /// Makes a metric that only grows. A name may be used once in a registry.
    package func counter(_ description: MetricDescription) -> Counter {
        let counter = Counter(description)
        add(counter, name: description.name)
        return counter
    }

    /// Makes a metric that goes up and down. A name may be used once in a registry.
    package func gauge(_ description: MetricDescription) -> Gauge {
        let gauge = Gauge(description)
        add(gauge, name: description.name)
        return gauge
    }

    /// Makes a metric that sorts observations into buckets. A name may be used once in a registry.
    ///
    /// - Parameter buckets: the upper bounds, rising; the bucket without a bound is added.
    package func histogram(_ description: MetricDescription, buckets: [Double]) -> Histogram {
        let histogram = Histogram(description, buckets: buckets)
        add(histogram, name: description.name)
        return histogram
    }

    /// Exposes what `collector` returns, which is asked at each exposition: for what is known elsewhere and would have to
    /// be kept in step. Its names are used by nobody else.
    package func collect(_ collector: @escaping Collector) {
        collectors.withLock { $0.append(collector) }
    }

    /// Gives metrics one more label, before their own. A second call replaces the first one.
    package func set(_ label: CommonLabel) {
        commonLabel.withLock { $0 = label }
    }

    /// All metrics in the Prometheus text format 0.0.4, sorted by name and label values, so that equal states give
    /// equal texts. A metric with labels shows once it has a series.
    package func exposition() -> String {
        var all = families.withLock { $0 }
        for collector in collectors.withLock({ $0 }) {
            for metric in collector() { all[metric.description.name] = metric }
        }
        var text = PrometheusText(commonLabel: commonLabel.withLock { $0 })
        for (_, family) in all.sorted(by: { $0.key < $1.key }) {
            family.write(to: &text)
        }
        return text.output
    }

    private func add(_ family: any MetricFamily, name: String) {
        let previous = families.withLock { $0.updateValue(family, forKey: name) }
        precondition(previous == nil, "two metrics are called \(name)")
    }
}

/// A label of several metrics whose value is the same for the whole process. It is added at the scrape: the value may be
/// known later than the first sample.
package struct CommonLabel: Sendable {
    /// The label's name.
    package var name: String
    /// Whether the metric of this name has the label.
    package var isOnMetric: @Sendable (_ name: String) -> Bool
    /// Read once for each scrape.
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

/// A metric with all its series, as the registry sees it.
protocol MetricFamily: Sendable {
    func write(to text: inout PrometheusText)
}
