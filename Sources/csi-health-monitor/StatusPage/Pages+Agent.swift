// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HTTPEndpoint

extension Pages {
    /// Registers the agent's pages: `/`, `/statusz` and `/flagz`.
    ///
    /// - Parameter paths: of the metrics and health checks.
    func registerAgent(_ options: AgentOptions, status: AgentStatus, paths: [String]) {
        let start = ContinuousClock.now
        let nodeName = options.nodeName
        registerZPages(flagValues: options.flagValues, start: start, paths: paths)
        let links = StatusPage.Link.links(to: paths + Self.zPagePaths)
        register(path: "/", .html) {
            let health = status.health()
            return AgentPage(
                build: .current,
                nodeName: nodeName,
                readiness: status.readiness(),
                health: health?.snapshot,
                time: health?.time ?? .zero,
                uptime: .now - start,
                now: WallClock.secondsSince1970
            ).page(links: links).html
        }
    }
}
