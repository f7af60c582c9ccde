// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint

extension Pages {
    static let zPagePaths = ["/flagz", "/statusz"]

    /// Registers the pages of ``ZPage``.
    ///
    /// - Parameters:
    ///   - start: the start of the process.
    ///   - paths: of all other pages.
    func registerZPages(flagValues: [String: String], start: ContinuousClock.Instant, paths: [String]) {
        register(path: "/flagz", .plainText) { ZPage.flagz(flagValues) }
        register(path: "/statusz", .plainText) {
            ZPage.statusz(
                build: .current,
                uptime: .now - start,
                now: WallClock.secondsSince1970,
                paths: paths + Self.zPagePaths
            )
        }
    }
}
