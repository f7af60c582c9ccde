// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A duration in the syntax of Go's `time.ParseDuration`: `1m30s`, `1.5h`, `300ms`.
package struct GoDuration: Hashable, Sendable, CustomStringConvertible {
    package var duration: Duration

    package init(_ duration: Duration) {
        self.duration = duration
    }

    static func seconds(_ seconds: Int) -> GoDuration { GoDuration(.seconds(seconds)) }

    static func minutes(_ minutes: Int) -> GoDuration { GoDuration(.seconds(60 * minutes)) }

    /// Parses an optional sign and one or more decimal numbers, each with an optional fraction and a unit (ns, us, µs,
    /// ms, s, m, h); or 0 without a unit.
    ///
    /// Returns nil if `text` has another form, or exceeds 2⁶³ - 1 nanoseconds (292 years), Go's maximum.
    package init?(parsing text: String) {
        var rest = Substring(text)
        let isNegative = rest.hasPrefix("-")
        if isNegative || rest.hasPrefix("+") { rest.removeFirst() }
        guard rest != "0" else {
            self.init(.zero)
            return
        }
        guard !rest.isEmpty else { return nil }
        var nanoseconds: Int128 = 0
        while !rest.isEmpty {
            guard let term = Self.term(&rest) else { return nil }
            nanoseconds += term
            guard nanoseconds <= Int128(Int64.max) else { return nil }
        }
        self.init(.nanoseconds(Int64(isNegative ? -nanoseconds : nanoseconds)))
    }

    /// Parses a number and its unit, and removes them from `rest`. Returns nanoseconds, truncated to a whole number;
    /// nil if the number or the unit is invalid.
    private static func term(_ rest: inout Substring) -> Int128? {
        let whole = digits(&rest)
        var fraction: Substring = ""
        if rest.first == "." {
            rest.removeFirst()
            fraction = digits(&rest)
        }
        let unitName = rest.prefix { $0 != "." && !$0.isASCIIDigit }
        rest = rest.dropFirst(unitName.count)
        // Without these limits Int128 could overflow. 20 digits exceed 292 years even in nanoseconds, and the digits of
        // a fraction after the 18th are less than a nanosecond even in hours.
        guard !(whole.isEmpty && fraction.isEmpty), whole.count <= 19, let unit = unitNanoseconds(unitName) else {
            return nil
        }
        fraction = fraction.prefix(18)
        let scale = repeatElement(Int128(10), count: fraction.count).reduce(1, *)
        return (Int128(whole) ?? 0) * unit + (Int128(fraction) ?? 0) * unit / scale
    }

    private static func digits(_ rest: inout Substring) -> Substring {
        let digits = rest.prefix(while: \.isASCIIDigit)
        rest = rest.dropFirst(digits.count)
        return digits
    }

    private static func unitNanoseconds(_ name: Substring) -> Int128? {
        switch name {
        case "ns": 1
        // The micro sign and the Greek letter.
        case "us", "\u{B5}s", "\u{3BC}s": 1000
        case "ms": 1_000_000
        case "s": 1_000_000_000
        case "m": 60_000_000_000
        case "h": 3_600_000_000_000
        default: nil
        }
    }

    /// The duration in hours, minutes and seconds, without units that are zero: `1m30s`, `1h`, `15s`, `1.5s`; whole
    /// milliseconds below a second: `300ms`. Go would print `1h0m0s`.
    ///
    /// ``init(parsing:)`` returns the same duration for this text, without fractions of a nanosecond.
    package var description: String {
        let (seconds, attoseconds) = duration.components
        let (whole, nanoseconds) = (seconds.magnitude, attoseconds.magnitude / 1_000_000_000)
        let sign = duration < .zero ? "-" : ""
        if whole == 0, nanoseconds > 0, nanoseconds.isMultiple(of: 1_000_000) {
            return "\(sign)\(nanoseconds / 1_000_000)ms"
        }
        let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m")].filter { $0.0 != 0 }
        var text = sign + parts.map { "\($0.0)\($0.1)" }.joined()
        if whole % 60 > 0 || nanoseconds > 0 || parts.isEmpty {
            text += "\(whole % 60)\(Self.fraction(nanoseconds))s"
        }
        return text
    }

    /// The decimal point and digits of a fraction of a second, such as `.025`; empty for 0.
    private static func fraction(_ nanoseconds: UInt64) -> String {
        guard nanoseconds > 0 else { return "" }
        var digits = String(nanoseconds)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "." + digits
    }
}

extension Character {
    /// Not one that has a combining mark.
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}
