// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Writes metrics in the Prometheus text format 0.0.4, or in OpenMetrics 1.0.
///
/// In OpenMetrics the name of a counter is that of its samples without `_total`, quotes in a help text are escaped, and
/// the text ends with `# EOF`. Numbers are the same in both formats: a bound `le="1"` stays the same series whichever
/// format a server asks for, although OpenMetrics recommends `le="1.0"`.
struct PrometheusText {
    private(set) var output = ""
    private let format: ExpositionFormat
    private var metric = MetricDescription(name: "", help: "")
    private let commonLabel: (pair: String, isOnMetric: (String) -> Bool)?
    private var commonPairs: [String] = []

    init(_ format: ExpositionFormat = .prometheusText, commonLabel: CommonLabel? = nil) {
        self.format = format
        self.commonLabel = commonLabel.map { label in
            ("\(label.name)=\"\(Self.escape(label.value(), quotes: true))\"", label.isOnMetric)
        }
    }

    /// Begins a metric: the next samples belong to it.
    mutating func begin(_ description: MetricDescription, type: String) {
        metric = description
        commonPairs = commonLabel.flatMap { $0.isOnMetric(description.name) ? [$0.pair] : nil } ?? []
        var (name, type) = (description.name, type)
        if format == .openMetrics, type == "counter" {
            // As by Go's exporters: OpenMetrics has no counter without the suffix.
            if name.hasSuffix("_total") { name.removeLast("_total".count) } else { type = "unknown" }
        }
        output += "# HELP \(name) \(Self.escape(description.help, quotes: format == .openMetrics))\n"
        output += "# TYPE \(name) \(type)\n"
    }

    /// Ends the text.
    mutating func end() {
        if format == .openMetrics { output += "# EOF\n" }
    }

    mutating func sample(suffix: String = "", labels: [String], upperBound: Double? = nil, value: Double) {
        var pairs = commonPairs
        for (name, value) in zip(metric.labelNames, labels) {
            pairs.append("\(name)=\"\(Self.escape(value, quotes: true))\"")
        }
        if let upperBound {
            pairs.append("le=\"\(Self.format(upperBound))\"")
        }
        output += metric.name + suffix
        if !pairs.isEmpty {
            output += "{" + pairs.joined(separator: ",") + "}"
        }
        output += " \(Self.format(value))\n"
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// A number as Go's `strconv.FormatFloat(value, 'g', -1, 64)` and so every Go exporter writes it: the fewest digits
    /// that parse as the same number, with an exponent below 1e-04 and from 1e+06 on.
    static func format(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf" }
        guard value != 0 else { return value.sign == .minus ? "-0" : "0" }
        let decimal = ShortestDecimal(value)
        let sign = value < 0 ? "-" : ""
        let digits = decimal.digits
        let exponent = decimal.pointIndex - 1
        if exponent < -4 || exponent >= 6 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let magnitude = "\(abs(exponent))"
            return sign + digits.prefix(1) + fraction + (exponent < 0 ? "e-" : "e+")
                + (magnitude.count < 2 ? "0" : "") + magnitude
        }
        if decimal.pointIndex <= 0 {
            return sign + "0." + String(repeating: "0", count: -decimal.pointIndex) + digits
        }
        if decimal.pointIndex >= digits.count {
            return sign + digits + String(repeating: "0", count: decimal.pointIndex - digits.count)
        }
        return sign + digits.prefix(decimal.pointIndex) + "." + digits.dropFirst(decimal.pointIndex)
    }
}

/// The fewest decimal digits that parse as the same number: 0.`digits` x 10^`pointIndex`.
private struct ShortestDecimal {
    /// Without leading and trailing zeros.
    var digits: String
    var pointIndex: Int

    /// `Double.description` has these digits, but writes an exponent where Go does not.
    init(_ value: Double) {
        let parts = value.magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let all = mantissa.joined()
        let leadingZeros = all.prefix { $0 == "0" }.count
        let trailingZeros = all.reversed().prefix { $0 == "0" }.count
        digits = String(all.dropFirst(leadingZeros).dropLast(trailingZeros))
        pointIndex = mantissa[0].count + exponent - leadingZeros
    }
}
