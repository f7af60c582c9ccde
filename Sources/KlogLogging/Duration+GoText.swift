// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension Duration {
    /// As Go's `time.Duration` prints it: `1m30s`, `17.5ms`, `250µs`, `0s`. Fractions of a nanosecond are truncated.
    var goText: String {
        let (seconds, attoseconds) = components
        let total = Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
        let sign = total < 0 ? "-" : ""
        let nanoseconds = total.magnitude
        switch nanoseconds {
        case 0: return "0s"
        case ..<1000: return "\(sign)\(nanoseconds)ns"
        case ..<1_000_000: return sign + Self.decimal(nanoseconds, per: 1000) + "µs"
        case ..<1_000_000_000: return sign + Self.decimal(nanoseconds, per: 1_000_000) + "ms"
        default: break
        }
        let minutes = nanoseconds / 60_000_000_000
        var text = sign
        if minutes >= 60 { text += "\(minutes / 60)h" }
        if minutes > 0 { text += "\(minutes % 60)m" }
        return text + Self.decimal(nanoseconds % 60_000_000_000, per: 1_000_000_000) + "s"
    }

    /// `number / unit` without trailing zeros; `unit` is a power of ten.
    private static func decimal(_ number: UInt128, per unit: UInt128) -> String {
        var text = "\(number / unit)"
        var rest = number % unit
        if rest > 0 { text += "." }
        var digit = unit
        while rest > 0 {
            digit /= 10
            text += "\(rest / digit)"
            rest %= digit
        }
        return text
    }
}
