// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics

/// Metrics of what reports need, which the controller and the agent have in common.
extension CollectedMetric {
    /// - Parameter isUp: as `/readyz` reports it.
    static func up(_ isUp: Bool) -> CollectedMetric {
        CollectedMetric(
            MetricDescription(
                name: "csi_volume_health_up",
                help: "Whether this replica is able to report volume health (1), as /readyz shows."
            ),
            value: isUp ? 1 : 0
        )
    }

    /// - Parameter silences: for each watch that has started, the time since its last event, bookmark or reopening.
    static func watchAges(_ silences: [(resource: String, age: Duration)]) -> CollectedMetric {
        CollectedMetric(
            MetricDescription(
                name: "csi_volume_health_watch_age_seconds",
                help: "Time since the last event, bookmark or reopening of a watch.",
                labelNames: ["resource"]
            ),
            samples: silences.map { ([$0.resource], $0.age / .seconds(1)) }
        )
    }

    /// - Parameter rules: each RBAC rule that was found missing, and whether it still is.
    static func missingRules(_ rules: [(rule: String, isMissing: Bool)]) -> CollectedMetric {
        CollectedMetric(
            MetricDescription(
                name: "csi_volume_health_rbac_rule_missing",
                help: "Whether the API server rejects requests because this RBAC rule is missing (1).",
                labelNames: ["rule"]
            ),
            samples: rules.map { ([$0.rule], $0.isMissing ? 1 : 0) }
        )
    }
}
