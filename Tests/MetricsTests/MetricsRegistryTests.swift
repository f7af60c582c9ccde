// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization
import Testing

@testable import Metrics

@Suite struct MetricsRegistryTests {
    private let registry = MetricsRegistry()

    @Test func `a counter without labels is 0 before its first increment`() {
        let counter = registry.counter(MetricDescription(name: "things_total", help: "Things."))
        #expect(registry.exposition() == "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 0\n")
        counter.increment()
        counter.increment(by: 1.5)
        #expect(registry.exposition().hasSuffix("\nthings_total 2.5\n"))
    }

    @Test func `metrics are sorted by name and series by label values`() {
        let b = registry.gauge(MetricDescription(name: "b", help: "B.", labelNames: ["x", "y"]))
        let a = registry.gauge(MetricDescription(name: "a", help: "A.", labelNames: ["x"]))
        b.set(3, labels: ["2", "1"])
        b.set(2, labels: ["1", "2"])
        b.set(1, labels: ["1", "1"])
        a.set(-1, labels: ["1"])
        #expect(
            registry.exposition() == """
                # HELP a A.
                # TYPE a gauge
                a{x="1"} -1
                # HELP b B.
                # TYPE b gauge
                b{x="1",y="1"} 1
                b{x="1",y="2"} 2
                b{x="2",y="1"} 3

                """
        )
    }

    @Test func `the buckets of a histogram are cumulative`() {
        let histogram = registry.histogram(
            MetricDescription(name: "h", help: "H.", labelNames: ["m"]),
            buckets: [0.1, 2.5, 10]
        )
        for value in [0.1, 0.25, 2.5, 10.5, 600] {
            histogram.observe(value, labels: ["GET"])
        }
        #expect(
            registry.exposition() == """
                # HELP h H.
                # TYPE h histogram
                h_bucket{m="GET",le="0.1"} 1
                h_bucket{m="GET",le="2.5"} 3
                h_bucket{m="GET",le="10"} 3
                h_bucket{m="GET",le="+Inf"} 5
                h_sum{m="GET"} 613.35
                h_count{m="GET"} 5

                """
        )
    }

    @Test func `label values and help are escaped`() {
        let gauge = registry.gauge(MetricDescription(name: "g", help: "A \\ and a\nline, \"so\".", labelNames: ["l"]))
        gauge.set(1, labels: ["a\\b\"c\nd é"])
        #expect(
            registry.exposition() == """
                # HELP g A \\\\ and a\\nline, "so".
                # TYPE g gauge
                g{l="a\\\\b\\"c\\nd é"} 1

                """
        )
    }

    @Test(arguments: [
        (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (0.1, "0.1"), (2.5, "2.5"), (100, "100"), (600, "600"),
        (123_456, "123456"), (999_999.5, "999999.5"), (1_000_000, "1e+06"), (1_234_567, "1.234567e+06"),
        (1_713_605_993.25, "1.71360599325e+09"), (0.0001, "0.0001"), (0.00012, "0.00012"), (0.00001, "1e-05"),
        (-0.000_012_5, "-1.25e-05"), (1e21, "1e+21"), (1e100, "1e+100"), (1e-300, "1e-300"), (0.3, "0.3"),
        (0.1 + 0.2, "0.30000000000000004"), (1.7976931348623157e308, "1.7976931348623157e+308"),
        (.leastNonzeroMagnitude, "5e-324"),
        (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (123_456_789_012_345_680, "1.2345678901234568e+17"),
    ])
    func `numbers are formatted as Go formats them`(value: Double, expected: String) {
        #expect(PrometheusText.format(value) == expected)
    }

    @Test func `concurrent updates are all counted`() async {
        let counter = registry.counter(MetricDescription(name: "c", help: "C.", labelNames: ["l"]))
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for label in 0..<1000 { counter.increment(labels: ["\(label % 2)"]) }
                }
            }
        }
        #expect(registry.exposition().hasSuffix("c{l=\"0\"} 4000\nc{l=\"1\"} 4000\n"))
    }

    @Test func `the common label precedes a metric's own labels, with its value at the scrape`() {
        let name = Mutex("first")
        registry.set(CommonLabel(name: "common", isOnMetric: { $0 != "other" }) { name.withLock { $0 } })
        registry.counter(MetricDescription(name: "plain", help: "P.")).increment()
        registry.gauge(MetricDescription(name: "labelled", help: "L.", labelNames: ["l"])).set(1, labels: ["x"])
        registry.histogram(MetricDescription(name: "h", help: "H."), buckets: [1]).observe(1)
        registry.gauge(MetricDescription(name: "other", help: "O.")).set(1)
        name.withLock { $0 = "a \"name\"" }
        let samples = registry.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            samples == [
                #"h_bucket{common="a \"name\"",le="1"} 1"#, #"h_bucket{common="a \"name\"",le="+Inf"} 1"#,
                #"h_sum{common="a \"name\""} 1"#, #"h_count{common="a \"name\""} 1"#,
                #"labelled{common="a \"name\"",l="x"} 1"#, "other 1", #"plain{common="a \"name\""} 1"#,
            ]
        )
    }
}
