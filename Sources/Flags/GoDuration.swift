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

    /// Parses an optional sign and decimal numbers, each with an optional fraction and a unit (ns, us, µs, ms, s, m,
    /// h); or 0.
    ///
    /// Returns nil if `text` has another form or exceeds the 292 years of Go's durations.
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

    /// One number and its unit, in nanoseconds; fractions of a nanosecond are truncated.
    private static func term(_ rest: inout Substring) -> Int128? {
        let whole = digits(&rest)
        var fraction: Substring = ""
        if rest.first == "." {
            rest.removeFirst()
            fraction = digits(&rest)
        }
        let unitName = rest.prefix { $0 != "." && !$0.isASCIIDigit }
        rest = rest.dropFirst(unitName.count)
        // 19 digits of nanoseconds exceed 292 years; digits of a fraction after the 18th are less than a nanosecond.
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

    /// The duration in hours, minutes and seconds without those that are zero: `1m30s`, `15s`, `300ms`, `1.5s`. It
    /// parses as the same duration.
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

    /// `.025`; empty for 0.
    private static func fraction(_ nanoseconds: UInt64) -> String {
        guard nanoseconds > 0 else { return "" }
        var digits = String(nanoseconds)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "." + digits
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { "0" <= self && self <= "9" }
}
