// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import tools

@Suite struct FigureTests {
    @Test(arguments: [
        (Figure.Unit.bytes, 36_700_000.0, "36.7 MB"), (.bytes, 404e6, "404 MB"), (.bytes, 399.6, "400 B"),
        (.bytes, 1024, "1.02 kB"), (.bytes, 0, "0 MB"), (.bytes, -2_500_000, "-2.50 MB"),
        (.seconds, 80.04, "80.0 s"), (.seconds, 0.0031, "3.10 ms"), (.seconds, 1.24e-6, "1.24 µs"),
        (.seconds, 5e-10, "0.50 ns"),
        (.count, 4000, "4,000"), (.count, 12, "12"), (.count, 1_234_567, "1,234,567"), (.count, -1000, "-1,000"),
        (.ratio, 1.496, "1.50"), (.ratio, 0.00123, "0.0012"), (.ratio, 0.9999, "1.00"), (.ratio, 12.34, "12.3"),
        (.ratio, 99.96, "100.0"),
    ])
    func `a value is formatted with its unit`(unit: Figure.Unit, value: Double, text: String) {
        #expect(unit.text(value) == text)
    }
}
