// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HTTPEndpoint
import VolumeStatus

extension ControllerPage {
    /// The facts of the page for scripts, for the path `/status.json`. What is not known is left out.
    var json: String {
        let object = StructuredText.members([
            "time": .text(date(.zero).rfc3339),
            "version": .text(build.version),
            "revision": .text(build.revision),
            "driver": driver,
            "replica": replica,
            "checks": .list(checks.map(json)),
            "recentErrors": .list(recentErrors.map(json)),
            "volumes": snapshot.health.map(volumes),
            "reports": snapshot.health.map(reports),
            "unhealthyClaims": snapshot.health.map { _ in
                .members([
                    "items": .list(shownClaims.map(json)),
                    "omitted": .integer(Int64(omittedClaims)),
                ])
            },
        ])
        return object.json + "\n"
    }

    private var driver: StructuredText {
        let health = snapshot.health
        let interval = health.flatMap { $0.probeInterval ?? readiness.monitor?.sweepInterval }
        return .members([
            "name": .text(driverName),
            "version": snapshot.driverVersion.isEmpty ? nil : .text(snapshot.driverVersion),
            "connected": .bool(snapshot.isDriverConnected),
            "method": (health?.method).map { .text($0.name) },
            "generation": (health?.method).map { .text($0.generation) },
            "intervalSeconds": interval.map { .integer($0.components.seconds) },
            "listProblem": (health?.listProblem).map { .text($0) },
            "absenceSuspected": health.map { .bool($0.isAbsenceSuspected) },
            "outage": health?.outage.map { outage, age in
                .members([
                    "since": .text(date(age).rfc3339),
                    "unhealthy": .integer(Int64(outage.unhealthy)),
                    "volumes": .integer(Int64(outage.volumes)),
                    "summary": .text(outage.summary(since: date(age).rfc3339)),
                ])
            },
        ])
    }

    private var replica: StructuredText {
        .members([
            "role": .text(role.rawValue),
            "lease": snapshot.lease.map { .text($0.name) },
            "ready": .bool(readiness.isReady),
            "upSeconds": .integer(uptime.components.seconds),
        ])
    }

    private func json(_ check: HealthChecks.Result) -> StructuredText {
        .members([
            "name": .text(check.name),
            "ok": .bool(check.failure == nil),
            "note": check.failure == nil ? check.note.map { .text($0) } : nil,
            "since": (check.failure?.age).map { .text(date($0).rfc3339) },
            "reason": (check.failure?.reason).map { .text($0) },
        ])
    }

    private func json(_ entry: RecentErrors.Entry) -> StructuredText {
        .members([
            "error": .text(entry.message),
            "reason": entry.detail.isEmpty ? nil : .text(entry.detail),
            "count": .integer(Int64(entry.count)),
            "first": .text(UTCDate(secondsSince1970: entry.first).rfc3339),
            "last": .text(UTCDate(secondsSince1970: entry.last).rfc3339),
        ])
    }

    private func volumes(_ health: HealthSnapshot) -> StructuredText {
        .members([
            "healthy": .integer(Int64(health.healthyVolumes)),
            "unhealthy": .integer(Int64(health.unhealthyVolumes)),
            "stale": .integer(Int64(health.staleVolumes)),
            "unknown": .integer(Int64(health.unknownVolumes)),
            "lastSweep": (readiness.monitor?.sweepAge).map { .text(date($0).rfc3339) },
        ])
    }

    private func reports(_ health: HealthSnapshot) -> StructuredText {
        .members([
            "events": json(health.events),
            "statuses": json(health.statuses),
            "healthStatusSupported": .bool(health.isStatusSupported),
        ])
    }

    private func json(_ backlog: HealthSnapshot.Backlog) -> StructuredText {
        .members([
            "queued": .integer(Int64(backlog.depth)), "oldestSeconds": .integer(backlog.oldest.components.seconds),
        ])
    }

    private func json(_ claim: HealthSnapshot.UnhealthyClaim) -> StructuredText {
        .members([
            "namespace": .text(claim.namespace),
            "name": .text(claim.name),
            "since": .text(date(claim.age).rfc3339),
            "conditions": .list(
                claim.conditions.map { .members(["status": .text($0.status), "reason": .text($0.reason)]) }
            ),
        ])
    }
}
