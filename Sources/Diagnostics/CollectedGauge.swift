// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A gauge that was read from somewhere, with all its series.
public struct CollectedGauge: Sendable, MetricFamily {
    /// What it is.
    public let description: MetricDescription
    private let samples: [(labels: [String], value: Double)]

    /// A gauge with these series; no two may have the same labels.
    public init(_ description: MetricDescription, samples: [(labels: [String], value: Double)]) {
        self.description = description
        self.samples = samples
    }

    /// A gauge without labels.
    public init(_ description: MetricDescription, value: Double) {
        self.init(description, samples: [(labels: [], value: value)])
    }

    func write(to text: inout PrometheusText) {
        text.begin(description, type: "gauge")
        for (labels, value) in samples.sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
            text.sample(labels: labels, value: value)
        }
    }
}
