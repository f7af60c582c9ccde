// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A gauge or a counter that is read at the scrape, with all its series.
package struct CollectedMetric: Sendable, MetricFamily {
    /// The value of one series.
    package typealias Sample = (labels: [String], value: Double)

    /// What Prometheus makes of the values.
    package enum Kind: String, Sendable {
        case counter
        case gauge
    }

    /// What it is.
    package let description: MetricDescription
    private let kind: Kind
    private let samples: @Sendable () -> [Sample]

    /// A metric with these series; no two may have the same labels.
    ///
    /// - Parameter samples: read when the metric is written, so that the series of one metric at a time are in memory.
    package init(
        _ kind: Kind,
        _ description: MetricDescription,
        samples: @escaping @autoclosure @Sendable () -> [Sample]
    ) {
        self.kind = kind
        self.description = description
        self.samples = samples
    }

    /// A gauge with these series; no two may have the same labels.
    package init(_ description: MetricDescription, samples: @escaping @autoclosure @Sendable () -> [Sample]) {
        self.init(.gauge, description, samples: samples())
    }

    /// A gauge without labels.
    package init(_ description: MetricDescription, value: Double) {
        self.init(description, samples: [(labels: [], value: value)])
    }

    func write(to text: inout PrometheusText) {
        text.begin(description, type: kind.rawValue)
        for (labels, value) in samples().sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
            text.sample(labels: labels, value: value)
        }
    }
}
