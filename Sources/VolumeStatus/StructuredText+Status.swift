// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesClient

extension VolumeHealthRow {
    /// The row as an object of `-o json` and `-o yaml`. Facts that are unknown are absent; times are RFC 3339.
    package var structured: StructuredText {
        .members([
            "namespace": .text(claim.namespace),
            "name": .text(claim.name),
            "status": .text(status.rawValue),
            "reason": reason.isEmpty ? nil : .text(reason),
            "message": message.isEmpty ? nil : .text(message),
            "since": since.map { .text(EventRecord.timestamp($0)) },
            "driver": driver.flatMap { $0.isEmpty ? nil : .text($0) },
            "volume": volumeName.isEmpty ? nil : .text(volumeName),
            "pods": pods.map { .list($0.map(StructuredText.text)) },
            "nodes": .list(nodes.map(StructuredText.text)),
            "source": source.map { .text($0.rawValue) },
            "conditions": .list(
                conditions.map { condition in
                    .members([
                        "status": .text(condition.status.rawValue),
                        "reason": .text(condition.reason),
                        "message": .text(condition.message),
                    ])
                }
            ),
        ])
    }
}

extension StatusReport {
    /// The claims that are not healthy, with the summary, as one object.
    package func structured(_ summary: StatusSummary) -> StructuredText {
        let texts = { (lines: [String]) in StructuredText.list(lines.map(StructuredText.text)) }
        return .members([
            "kind": .text("VolumeHealthList"),
            "items": .list(notHealthy.map(\.structured)),
            "summary": .members([
                "claims": .integer(Int64(rows.count)),
                "unhealthy": .integer(Int64(rows.count { $0.status.isUnhealthy })),
                "unknown": .integer(Int64(rows.count { $0.status == .unknown })),
                "drivers": .list(drivers.map(\.structured)),
            ]),
            "warnings": texts(summary.warnings),
            "notes": texts(summary.notes),
        ])
    }
}

extension DriverSummary {
    fileprivate var structured: StructuredText {
        .members([
            "name": .text(name),
            "claims": .integer(Int64(claims)),
            "unhealthy": .integer(Int64(unhealthy)),
            "monitored": isMonitored.map(StructuredText.bool),
        ])
    }
}
