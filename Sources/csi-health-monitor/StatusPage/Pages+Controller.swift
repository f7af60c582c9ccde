// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HTTPEndpoint

extension Pages {
    /// Registers the controller's pages: `/statusz`, `/flagz`, and with `--status-page` the status page and
    /// `/status.json`.
    ///
    /// - Parameter paths: of the metrics and health checks.
    func registerController(
        _ options: ControllerOptions,
        status: ControllerStatus,
        recentErrors: RecentErrors,
        paths: [String]
    ) {
        let start = ContinuousClock.now
        let paths = paths + (options.hasStatusPage ? ["/status.json"] : [])
        registerZPages(flagValues: options.flagValues, start: start, paths: paths)
        guard options.hasStatusPage else { return }
        let hasLeaderElection = options.leaderElection != nil
        let current: @Sendable () -> ControllerPage = {
            ControllerPage(
                build: .current,
                driverName: status.driverName(),
                hasLeaderElection: hasLeaderElection,
                snapshot: status.snapshot(),
                readiness: status.readiness(),
                recentErrors: recentErrors.entries,
                uptime: .now - start,
                now: WallClock.secondsSince1970
            )
        }
        let links = StatusPage.Link.links(to: paths + Self.zPagePaths)
        register(path: "/", .html) { current().page(links: links).html }
        register(path: "/status.json", .json) { current().json }
    }
}
