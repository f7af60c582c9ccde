// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore

/// What is monitored, how often, and what is reported.
package struct MonitorConfiguration: Sendable {
    /// The driver whose volumes are monitored: the name that it gave when the lease was chosen.
    package var driverName: String
    /// `reportingInstance` of events.
    package var identity: String
    /// Where volumes are listed: from the beginning of one list to that of the next.
    package var listVolumesInterval = Duration.seconds(300)
    /// Where volumes are probed one by one: each is probed once in this time.
    package var monitorInterval = Duration.seconds(60)
    /// How many calls for single volumes are under way at most.
    package var workerThreads = 10
    /// How many calls for single volumes begin per second at most; nil: no bound of its own.
    package var probesPerSecond: Double?
    /// After what time the absence of many volumes at once is believed.
    package var missingVolumesHold = Duration.seconds(600)
    /// Whether a volume that the driver does not find any more is reported.
    package var reportsMissingVolumes = true
    /// How long calls for a volume must fail before its claim is reported, where volumes are probed one by one; nil: it is not.
    package var unansweredLimit: Duration? = .seconds(15 * 60)
    /// Whether conditions of legacy drivers go to the claims' `status.healthStatus` too.
    package var writesLegacyStatus = true
    /// When a claim's health is shown as a condition in its status.
    package var claimConditions = ClaimConditionPolicy.auto
    /// How long a node is not ready before it counts as failed; nil: nodes are not watched.
    package var nodeFailureDuration: Duration?
    /// The node whose volumes alone are monitored, for a driver that knows no others; nil: all of the driver's volumes are.
    package var nodeName: String?
    /// The node on which this process runs, where that is known, by which a driver that knows only its node's
    /// volumes is recognized.
    package var hostNodeName: String?
    /// After what time a term ends in which the driver cannot be reached, in which all health calls fail, or in which the API
    /// server refuses the watches: another replica may do better. nil: it goes on.
    package var dependencyTimeout: Duration?
    /// From one Identity/Probe call to the next, so that a driver that hangs is noticed between lists; nil: there are none.
    package var driverCheckInterval: Duration?
    /// Which Secrets of the volumes go with the health RPCs.
    package var volumeSecrets = VolumeSecretsKind.none

    /// The defaults are those of the command's flags.
    package init(driverName: String, identity: String) {
        self.driverName = driverName
        self.identity = identity
    }
}

extension HealthState.Configuration {
    init(_ configuration: MonitorConfiguration) {
        self.init(
            reportsMissingVolumes: configuration.reportsMissingVolumes,
            absenceLimits: AbsenceLimits(hold: configuration.missingVolumesHold),
            claimConditions: configuration.claimConditions,
            unansweredLimit: configuration.unansweredLimit
        )
    }
}
