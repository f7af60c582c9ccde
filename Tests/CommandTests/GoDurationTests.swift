// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import Flags

@Suite struct GoDurationTests {
    @Test(
        arguments: [
            ("0", .zero), ("0s", .zero), ("+0", .zero), ("-0", .zero),
            ("5s", .seconds(5)), ("30s", .seconds(30)), ("1478s", .seconds(1478)),
            ("1m30s", .seconds(90)), ("1.5h", .seconds(5400)), ("300ms", .milliseconds(300)), ("5m", .seconds(300)),
            ("+5s", .seconds(5)), ("-5s", .seconds(-5)), ("-1m30s", .seconds(-90)),
            ("5.", nil), ("5.s", .seconds(5)), (".5s", .milliseconds(500)), ("5.6s", .milliseconds(5600)),
            ("5.004s", .milliseconds(5004)), ("100.00100s", .milliseconds(100_001)),
            ("10ns", .nanoseconds(10)), ("11us", .microseconds(11)), ("12µs", .microseconds(12)),
            ("12μs", .microseconds(12)),
            ("3h30m", .seconds(12_600)), ("10.5s4m", .milliseconds(250_500)),
            ("39h9m14.425s", .milliseconds(140_954_425)),
            ("1.9ns", .nanoseconds(1)), ("0.3333333333333333333h", .seconds(1200) - .nanoseconds(1)),
            ("9223372036854775807ns", .nanoseconds(Int64.max)), ("9223372036854775808ns", nil),
            ("9223372036s", .seconds(9_223_372_036)),
            ("3000000h", nil), ("99999999999999999999s", nil),
            ("", nil), ("3", nil), ("-", nil), ("s", nil), (".", nil), ("-.", nil), (".s", nil), ("+.s", nil),
            ("1d", nil),
            ("1 s", nil), (" 1s", nil), ("1s ", nil), ("1S", nil), ("1m30", nil), ("--1s", nil), ("1e3s", nil),
            ("٣s", nil), ("5\u{301}m", nil),
            ("1ss", nil), ("abc", nil),
        ] as [(String, Duration?)]
    )
    func `durations are parsed as Go parses them`(text: String, expected: Duration?) {
        #expect(GoDuration(parsing: text)?.duration == expected)
    }

    @Test(
        arguments: [
            (.zero, "0s"), (.seconds(15), "15s"), (.seconds(60), "1m"), (.seconds(90), "1m30s"), (.seconds(3600), "1h"),
            (.seconds(3661), "1h1m1s"), (.milliseconds(300), "300ms"), (.milliseconds(1500), "1.5s"),
            (.seconds(-90), "-1m30s"), (.microseconds(5), "0.000005s"),
            (.nanoseconds(3_600_000_000_001), "1h0.000000001s"), (.nanoseconds(-999_999_999), "-0.999999999s"),
        ] as [(Duration, String)]
    )
    func `zero parts are omitted`(duration: Duration, expected: String) {
        #expect(GoDuration(duration).description == expected)
        #expect(GoDuration(parsing: expected)?.duration == duration)
    }
}
