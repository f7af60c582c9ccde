// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics

/// The input: metrics with names, label values and numbers.
///
/// Prometheus reads what was set: every name, label value, type and number.
enum MetricsText {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        let registry = MetricsRegistry()
        var expected: [Exposition.Family] = []
        for number in 0..<8 where !input.isEmpty {
            expected.append(add(number, to: registry, &input))
        }
        let text = registry.exposition()
        // The samples are the same in OpenMetrics, to the byte.
        func samples(_ text: String) -> [Substring] { text.split(separator: "\n").filter { !$0.hasPrefix("# ") } }
        let openMetrics = registry.exposition(.openMetrics)
        try require(samples(openMetrics) == samples(text), "OpenMetrics has other samples: \(openMetrics)")
        let read: Exposition
        do throws(Exposition.SyntaxError) {
            read = try Exposition(text)
        } catch {
            throw InvariantViolation(message: "Prometheus would refuse \(text): \(error.message)")
        }
        expected.removeAll(where: \.samples.isEmpty)
        let found = read.families.filter { !$0.samples.isEmpty }
        try require(
            found.sorted { $0.name < $1.name } == expected.sorted { $0.name < $1.name },
            "the text has other metrics: \(text)"
        )
        try require(found.map(\.name) == found.map(\.name).sorted(), "metrics are not sorted: \(text)")
    }

    private static func add(_ number: Int, to registry: MetricsRegistry, _ input: inout FuzzInput) -> Exposition.Family
    {
        let kind = input.number(below: 4)
        let description = MetricDescription(
            name: name("m\(number)", &input),
            help: input.text(),
            labelNames: (0..<input.number(below: 4)).map { name("l\($0)", &input) }
        )
        switch kind {
        case 0: return counter(description, registry, &input)
        case 1: return gauge(description, registry, &input)
        case 2: return histogram(description, registry, &input)
        default: return collected(description, registry, &input)
        }
    }

    /// A valid name, because the names of metrics do not come from outside.
    private static func name(_ prefix: String, _ input: inout FuzzInput) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz_0123456789")
        return prefix + "_"
            + String((0..<input.number(below: 8)).map { _ in alphabet[input.number(below: alphabet.count)] })
    }

    private static func labels(_ description: MetricDescription, _ input: inout FuzzInput) -> [String] {
        description.labelNames.map { _ in input.text() }
    }

    /// Any number, also infinity and NaN.
    private static func value(_ input: inout FuzzInput) -> Double {
        Double(bitPattern: input.word())
    }

    private static func counter(
        _ description: MetricDescription,
        _ registry: MetricsRegistry,
        _ input: inout FuzzInput
    ) -> Exposition.Family {
        let counter = registry.counter(description)
        var series: [[String]: Double] = description.labelNames.isEmpty ? [[]: 0] : [:]
        for _ in 0..<input.number(below: 4) {
            let labels = labels(description, &input)
            let amount = value(&input).magnitude
            if amount.isNaN { continue }
            counter.increment(by: amount, labels: labels)
            series[labels, default: 0] += amount
        }
        return Exposition.Family(description, type: "counter", series)
    }

    private static func gauge(
        _ description: MetricDescription,
        _ registry: MetricsRegistry,
        _ input: inout FuzzInput
    ) -> Exposition.Family {
        let gauge = registry.gauge(description)
        var series: [[String]: Double] = description.labelNames.isEmpty ? [[]: 0] : [:]
        for _ in 0..<input.number(below: 4) {
            let labels = labels(description, &input)
            let value = value(&input)
            gauge.set(value, labels: labels)
            series[labels, default: 0] = value
        }
        return Exposition.Family(description, type: "gauge", series)
    }

    private static func histogram(
        _ description: MetricDescription,
        _ registry: MetricsRegistry,
        _ input: inout FuzzInput
    ) -> Exposition.Family {
        let bounds = [0.1, 1, 1e21]
        let histogram = registry.histogram(description, buckets: bounds)
        var observed: [[String]: [Double]] = description.labelNames.isEmpty ? [[]: []] : [:]
        for _ in 0..<input.number(below: 4) {
            let labels = labels(description, &input)
            let value = value(&input)
            histogram.observe(value, labels: labels)
            observed[labels, default: []].append(value)
        }
        var family = Exposition.Family(description, type: "histogram", [:])
        for (labels, values) in observed {
            for bound in bounds + [.infinity] {
                let count = values.count { $0 <= bound || bound == .infinity }
                family.add("_bucket", labels, le: bound, Double(count))
            }
            family.add("_sum", labels, values.reduce(0, +))
            family.add("_count", labels, Double(values.count))
        }
        return family
    }

    private static func collected(
        _ description: MetricDescription,
        _ registry: MetricsRegistry,
        _ input: inout FuzzInput
    ) -> Exposition.Family {
        var series: [[String]: Double] = [:]
        for _ in 0..<input.number(below: 4) {
            series[labels(description, &input)] = value(&input)
        }
        let samples = series.map { (labels: $0.key, value: $0.value) }
        registry.collect { [CollectedMetric(description, samples: samples)] }
        return Exposition.Family(description, type: "gauge", series)
    }
}

extension Exposition.Family {
    fileprivate init(_ description: MetricDescription, type: String, _ series: [[String]: Double]) {
        self.init(name: description.name, help: Array(description.help.utf8), type: type)
        labelNames = description.labelNames
        for (labels, value) in series { add("", labels, value) }
    }

    fileprivate mutating func add(_ suffix: String, _ labels: [String], le bound: Double? = nil, _ value: Double) {
        var pairs = zip(labelNames, labels).map { Exposition.Label(name: $0, value: Array($1.utf8)) }
        if let bound { pairs.append(Exposition.Label(name: "le", value: Array(Exposition.bound(bound).utf8))) }
        samples.insert(Exposition.Sample(name: name + suffix, labels: pairs, value: Exposition.bits(value)))
    }
}
