// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A time in Kubernetes' formats: RFC 3339 in UTC, whole seconds (`metav1.Time`) or microseconds (`metav1.MicroTime`).
struct Timestamp: Hashable, Sendable {
    /// Seconds since 1970-01-01T00:00:00Z.
    var seconds: Int64
    var nanoseconds: Int32 = 0

    /// `2026-01-02T15:04:05Z`
    var text: String {
        let days = Self.floorDivide(seconds, 86_400)
        let secondOfDay = seconds - days * 86_400
        let (year, month, day) = Self.date(daysSinceEpoch: days)
        let date = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
        let hour = Self.padded(secondOfDay / 3600, 2)
        let minute = Self.padded(secondOfDay / 60 % 60, 2)
        return "\(date)T\(hour):\(minute):\(Self.padded(secondOfDay % 60, 2))Z"
    }

    /// `Fri, 02 Jan 2026 15:04:05 GMT`, RFC 9110, 5.6.7.
    var httpDate: String {
        let days = Self.floorDivide(seconds, 86_400)
        let (year, month, day) = Self.date(daysSinceEpoch: days)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let weekday = weekdays[Int(days - Self.floorDivide(days, 7) * 7)]
        let time = text.dropFirst(text.count - 9).dropLast()
        return "\(weekday), \(Self.padded(day, 2)) \(months[Int(month) - 1]) \(Self.padded(year, 4)) \(time) GMT"
    }

    /// `2026-01-02T15:04:05.000000Z`
    var microsecondText: String {
        "\(text.dropLast()).\(Self.padded(Int64(nanoseconds / 1000), 6))Z"
    }

    /// Parses RFC 3339 with an offset (`Z`, `+02:00`) and up to nine decimals; nil for anything else.
    init?(_ text: String) {
        var rest = Substring(text).utf8[...]
        func number(_ digits: Int) -> Int64? {
            let taken = rest.prefix(digits)
            guard taken.count == digits, taken.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest = rest.dropFirst(digits)
            return taken.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        func skip(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4), skip("-"), let month = number(2), skip("-"), let day = number(2), skip("T"),
            let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var nanoseconds: Int64 = 0
        if skip(".") {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            guard (1...9).contains(count), let fraction = number(count) else { return nil }
            nanoseconds = (count..<9).reduce(fraction) { value, _ in value * 10 }
        }
        var offset: Int64 = 0
        if !skip("Z") {
            let sign: Int64 = skip("+") ? 1 : skip("-") ? -1 : 0
            guard sign != 0, let hours = number(2), skip(":"), let minutes = number(2) else { return nil }
            offset = sign * (hours * 60 + minutes) * 60
        }
        guard rest.isEmpty else { return nil }
        let days = Self.daysSinceEpoch(year: year, month: month, day: day)
        seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        self.nanoseconds = Int32(nanoseconds)
    }

    init(seconds: Int64, nanoseconds: Int32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    // MARK: The Gregorian calendar, in years that begin in March so that the leap day is the last

    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return year * 365 + floorDivide(year, 4) - floorDivide(year, 100) + floorDivide(year, 400) + dayOfYear - 719_468
    }

    private static func date(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSinceEpoch + 719_468
        let era = floorDivide(days, 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func floorDivide(_ dividend: Int64, _ divisor: Int64) -> Int64 {
        dividend >= 0 ? dividend / divisor : (dividend - divisor + 1) / divisor
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
