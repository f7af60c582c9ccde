// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One figure of one run.
struct Figure: Equatable, Sendable {
    /// The name of the figure; the same in every run.
    let what: String
    /// In the unit's base: bytes, seconds.
    let value: Double
    let unit: Unit
    var target: Target?

    /// - Parameters:
    ///   - target: an upper bound.
    ///   - least: a lower bound.
    init(_ what: String, _ value: Double, _ unit: Unit, target: Double? = nil, least: Double? = nil) {
        self.what = what
        self.value = value
        self.unit = unit
        self.target = target.map { Target(bound: .most, value: $0) } ?? least.map { Target(bound: .least, value: $0) }
    }

    struct Target: Codable, Equatable, Sendable {
        enum Bound: String, Codable, Sendable {
            case most
            case least
        }

        let bound: Bound
        let value: Double

        func isMet(by value: Double) -> Bool { bound == .most ? value <= self.value : value >= self.value }

        /// `≤ 40.0 MB`
        func text(_ unit: Unit) -> String { "\(bound == .most ? "≤" : "≥") \(unit.text(value))" }
    }
}

extension Figure {
    enum Unit: String, Codable, Sendable {
        case bytes
        case seconds
        case count
        case perSecond
        /// A quotient of two figures, such as a share of a core.
        case ratio

        /// Formats a value: `36.7 MB`, `1.24 µs`; a megabyte has 1,000,000 bytes.
        func text(_ value: Double) -> String {
            switch self {
            case .bytes: Self.scaled(value, [(1e6, "MB"), (1e3, "kB"), (1, "B")])
            case .seconds: Self.scaled(value, [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")])
            case .count: Self.grouped(Int(value.rounded()))
            case .perSecond: "\(Self.rounded(value)) /s"
            case .ratio: Self.rounded(value)
            }
        }

        private static func scaled(_ value: Double, _ units: [(size: Double, name: String)]) -> String {
            let smallest = units[units.count - 1]
            let unit = value == 0 ? units[0] : units.first { abs(value) >= $0.size } ?? smallest
            return "\(rounded(value / unit.size)) \(unit.name)"
        }

        /// With three significant digits, or all digits of a greater whole number.
        private static func rounded(_ value: Double) -> String {
            if value == 0 { return "0" }
            let decimals = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 0.1 ? 2 : 4
            let scale = [1.0, 10, 100, 0, 10_000][decimals]
            let whole = Int((abs(value) * scale).rounded())
            let sign = value < 0 && whole > 0 ? "-" : ""
            guard decimals > 0 else { return sign + grouped(whole) }
            let digits = String(whole % Int(scale))
            let padded = String(repeating: "0", count: decimals - digits.count) + digits
            return "\(sign)\(whole / Int(scale)).\(padded)"
        }

        /// `20,000`
        static func grouped(_ value: Int) -> String {
            var groups: [String] = []
            var rest = String(value.magnitude)[...]
            while rest.count > 3 {
                groups.insert(String(rest.suffix(3)), at: 0)
                rest = rest.dropLast(3)
            }
            groups.insert(String(rest), at: 0)
            return (value < 0 ? "-" : "") + groups.joined(separator: ",")
        }
    }
}
