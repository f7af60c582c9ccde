// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@Suite struct HumanDurationTests {
    /// Each form of `HumanDuration` in k8s.io/apimachinery, pkg/util/duration, and the limits between them.
    static let cases: [(seconds: Int64, text: String)] = [
        (-2, "<invalid>"), (-1, "0s"), (0, "0s"), (1, "1s"), (70, "70s"), (119, "119s"), (120, "2m"), (190, "3m10s"),
        (599, "9m59s"), (600, "10m"), (2820, "47m"), (4200, "70m"), (10_740, "179m"), (10_800, "3h"),
        (11_400, "3h10m"), (28_799, "7h59m"), (28_800, "8h"), (169_200, "47h"), (172_800, "2d"), (176_400, "2d1h"),
        (687_600, "7d23h"), (691_200, "8d"), (31_708_800, "367d"), (63_072_000, "2y"), (63_158_400, "2y1d"),
        (252_201_600, "7y364d"), (252_288_000, "8y"),
    ]

    @Test(arguments: cases) func `an age has the form of kubectl`(seconds: Int64, text: String) {
        #expect(age(seconds) == text)
    }

    @Test(
        arguments: [
            (90, 10), (110, -10), (100 - 3_153_600_000, 3_153_600_000), (-62_135_596_800, 3_153_600_000),
            (253_402_300_800, -3_153_600_000), (.min, 3_153_600_000), (.max, -3_153_600_000),
        ] as [(Int64, Int64)]
    )
    func `every time has an age, of 100 years at most`(time: Int64, seconds: Int64) {
        #expect(ageInSeconds(of: time, now: 100) == seconds)
    }
}
