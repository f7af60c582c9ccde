// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The formats in which metrics are exposed.
package enum ExpositionFormat: Sendable, Hashable, CaseIterable {
    /// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    case prometheusText
    /// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheusText: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The format that a client prefers: the one with the highest quality, of equal ones the first. Prometheus' text
    /// format if the client accepts neither, as by Go's exporters.
    ///
    /// Source: RFC 9110, section 12.5.1; github.com/prometheus/common, expfmt/encode.go, `NegotiateIncludingOpenMetrics`.
    ///
    /// - Parameter accept: the value of the header `Accept`, all of them joined by commas; empty without one.
    package init(accept: String) {
        var best: (format: Self, quality: Double) = (.prometheusText, 0)
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let format: Self
            switch parts.first {
            case "application/openmetrics-text": format = .openMetrics
            case "text/plain", "text/*", "*/*": format = .prometheusText
            default: continue
            }
            // Other versions may differ in what a client must understand. A range without a version accepts any.
            let version = parts.lazy.compactMap { $0.dropPrefix("version=") }.first
            if format == .openMetrics, let version, version != "1.0.0", version != "0.0.1" { continue }
            let quality = parts.lazy.compactMap { $0.dropPrefix("q=") }.first.map { Double($0) ?? 0 } ?? 1
            if quality > best.quality { best = (format, quality) }
        }
        self = best.format
    }
}

extension String {
    fileprivate func dropPrefix(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
