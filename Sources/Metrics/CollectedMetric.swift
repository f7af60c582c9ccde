// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A gauge or a counter that is read at the scrape, with all its series.
package struct CollectedMetric: Sendable, MetricFamily {
    package typealias Sample = (labels: [String], value: Double)

    package enum Kind: String, Sendable {
        case counter
        case gauge
    }

    package let description: MetricDescription
    private let kind: Kind
    private let samples: @Sendable () -> [Sample]

    /// - Parameter samples: the series; no two may have the same labels. Evaluated when the metric is written, so that
    ///   the series of only one metric at a time are in memory.
    package init(
        _ kind: Kind,
        _ description: MetricDescription,
        samples: @escaping @autoclosure @Sendable () -> [Sample]
    ) {
        self.kind = kind
        self.description = description
        self.samples = samples
    }

    /// A gauge with these series.
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
