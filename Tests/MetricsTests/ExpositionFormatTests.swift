// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import Metrics

@Suite struct ExpositionFormatTests {
    @Test(arguments: [
        // Prometheus 2.42, and 3.0 with its default protocols: scrape/scrape.go, config.go.
        """
        application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
        text/plain;version=0.0.4;q=0.5,*/*;q=0.1
        """,
        "application/openmetrics-text", "text/plain;q=0.5, application/OpenMetrics-Text ; q=0.6",
        "application/openmetrics-text,text/plain",
        "application/openmetrics-text;version=2.0.0,text/plain;q=0.1,"
            + "application/openmetrics-text;version=0.0.1;q=0.2",
    ])
    func `a client that prefers OpenMetrics gets it`(accept: String) {
        #expect(ExpositionFormat(accept: accept) == .openMetrics)
    }

    @Test(arguments: [
        "", "*/*", "text/plain", "text/html,*/*;q=0.8", "application/json",
        // Prometheus with `scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]`.
        "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.1",
        "text/plain,application/openmetrics-text", "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0", "application/openmetrics-text;q=x", ",;,=;q",
    ])
    func `other clients get Prometheus' text format`(accept: String) {
        #expect(ExpositionFormat(accept: accept) == .prometheusText)
    }

    @Test func `OpenMetrics names counters without a suffix, escapes quotes in help and ends with EOF`() {
        let registry = MetricsRegistry()
        registry.counter(MetricDescription(name: "a_total", help: "A \"b\".")).increment()
        registry.gauge(MetricDescription(name: "g", help: "G.", labelNames: ["l"])).set(2, labels: ["\"x\""])
        registry.histogram(MetricDescription(name: "h", help: "H."), buckets: [1]).observe(0.5)
        registry.counter(MetricDescription(name: "without_suffix", help: "W.")).increment()
        #expect(
            registry.exposition(.openMetrics) == #"""
                # HELP a A \"b\".
                # TYPE a counter
                a_total 1
                # HELP g G.
                # TYPE g gauge
                g{l="\"x\""} 2
                # HELP h H.
                # TYPE h histogram
                h_bucket{le="1"} 1
                h_bucket{le="+Inf"} 1
                h_sum 0.5
                h_count 1
                # HELP without_suffix W.
                # TYPE without_suffix unknown
                without_suffix 1
                # EOF

                """#
        )
    }
}
