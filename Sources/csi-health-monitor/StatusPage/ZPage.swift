// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint

/// The pages `/statusz` and `/flagz` of Kubernetes' components.
///
/// Source: KEP-4827 and KEP-4828; k8s.io/component-base, zpages. The text is theirs with `Swift version` for
/// `Go version`; they choose the delimiter at random, so that no program parses it. The structured form, which a request
/// selects by its Accept header, is not offered: `/status.json` is for programs.
enum ZPage {
    private static func heading(_ name: String) -> String {
        """

        csi-health-monitor \(name)
        Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is \
        for debugging purposes only.

        """
    }

    /// The page `/statusz`. There is no emulation version.
    ///
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - paths: of all pages; the first component of each is shown.
    static func statusz(build: CommonMetrics.Build, uptime: Duration, now: Double, paths: [String]) -> String {
        let seconds = uptime.components.seconds
        let (minutes, rest) = (twoDigits(seconds / 60 % 60), twoDigits(seconds % 60))
        let components = Set(paths.compactMap { $0.split(separator: "/").first }).sorted()
        return heading("statusz") + """

            Started: \(UTCDate(secondsSince1970: now - uptime / .seconds(1)).unixDate)
            Up: \(seconds / 3600) hr \(minutes) min \(rest) sec
            Swift version: \(build.swiftVersion)
            Binary version: \(build.version)

            Paths: \(components.map { "/\($0)" }.joined(separator: " "))

            """
    }

    /// The page `/flagz`.
    static func flagz(_ values: [String: String]) -> String {
        heading("flagz") + values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
    }

    private static func twoDigits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
