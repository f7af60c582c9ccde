// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the sidecar knows at the moment of a scrape.
package struct SidecarSnapshot: Sendable {
    /// What waits for the API server.
    package struct Queue: Sendable {
        /// How many changes wait or are being reported.
        package var depth: Int
        /// How long the oldest waits; zero when there is none.
        package var oldest: Duration
        /// How many changes were queued in this term, those that are tried again included.
        package var adds: UInt64

        /// A queue.
        package init(depth: Int, oldest: Duration, adds: UInt64) {
            self.depth = depth
            self.oldest = oldest
            self.adds = adds
        }
    }

    /// What a leader knows of the driver.
    package struct Driver: Sendable {
        /// `vendor_version` of GetPluginInfo.
        package var version: String
        /// The RPC that reports health, without its service; `none` where the driver has none.
        package var method: String
        /// `legacy`, `health`, or `none`.
        package var generation: String

        /// A driver.
        package init(version: String, method: String, generation: String) {
            self.version = version
            self.method = method
            self.generation = generation
        }
    }

    /// What a leader knows of the volumes.
    package struct Volumes: Sendable {
        /// A claim whose volume is unhealthy.
        package struct UnhealthyClaim: Sendable {
            /// One condition of its volume.
            package struct Condition: Sendable {
                /// `Degraded`, `Inaccessible`, `DataLoss`.
                package var status: String
                /// The driver's word for it.
                package var reason: String

                /// A condition.
                package init(status: String, reason: String) {
                    self.status = status
                    self.reason = reason
                }
            }

            /// `metadata.namespace`
            package var namespace: String
            /// `metadata.name`
            package var name: String
            /// Each pair of status and reason once.
            package var conditions: [Condition]
            /// For how long the set of status and reason has been the same.
            package var age: Duration

            /// A claim.
            package init(namespace: String, name: String, conditions: [Condition], age: Duration) {
                self.namespace = namespace
                self.name = name
                self.conditions = conditions
                self.age = age
            }
        }

        /// Claims whose volumes are unhealthy.
        package var unhealthyClaims: [UnhealthyClaim]
        /// How many volumes are healthy.
        package var healthy: Int
        /// How many are not.
        package var unhealthy: Int
        /// Of how many nothing is known.
        package var unknown: Int
        /// Of how many what is known is too old.
        package var stale = 0
        /// Claims whose volumes could not be probed for five intervals, with the age of the last answer.
        package var unanswered: [(namespace: String, name: String, age: Duration)] = []
        /// Where volumes are probed one by one: how many of how many were answered in the last interval.
        package var round: (answered: Int, volumes: Int)?
        /// Events to be recorded.
        package var events: Queue
        /// Status fields to be written.
        package var statuses: Queue
        /// nil before it is identified in this term.
        package var driver: Driver?
        /// Whether the driver reports the health of its volumes at all.
        package var isDriverSupported: Bool
        /// Whether the API server keeps status fields, as far as is known.
        package var isStatusSupported: Bool
        /// Whether so many volumes are missing at once that none of them is reported.
        package var isAbsenceSuspected: Bool
        /// Why the driver's list of volumes is of no use: `no_conditions`, `foreign_ids`; nil while it is.
        package var listProblem: String?
        /// From one probe of a volume to its next; nil while volumes are not probed one by one.
        package var probeInterval: Duration?

        /// What is known.
        package init(
            unhealthyClaims: [UnhealthyClaim],
            healthy: Int,
            unhealthy: Int,
            unknown: Int,
            events: Queue,
            statuses: Queue,
            driver: Driver?,
            isDriverSupported: Bool,
            isStatusSupported: Bool = true,
            isAbsenceSuspected: Bool = false,
            listProblem: String? = nil,
            probeInterval: Duration? = nil
        ) {
            self.unhealthyClaims = unhealthyClaims
            self.healthy = healthy
            self.unhealthy = unhealthy
            self.unknown = unknown
            self.events = events
            self.statuses = statuses
            self.driver = driver
            self.isDriverSupported = isDriverSupported
            self.isStatusSupported = isStatusSupported
            self.isAbsenceSuspected = isAbsenceSuspected
            self.listProblem = listProblem
            self.probeInterval = probeInterval
        }
    }

    /// The Lease of the leader election.
    package struct Lease: Sendable {
        /// `metadata.name`
        package var name: String
        /// Whether this replica holds it.
        package var isHeld: Bool

        /// A lease.
        package init(name: String, isHeld: Bool) {
            self.name = name
            self.isHeld = isHeld
        }
    }

    /// Whether there is a connection to the driver.
    package var isDriverConnected: Bool
    /// Whether everything works that is needed for a report, as `/readyz` says.
    package var isUp = true
    /// For each watch that has begun, since its last event or bookmark.
    package var watchSilences: [(resource: String, age: Duration)] = []
    /// Each RBAC rule that was found missing, and whether it still is.
    package var rules: [(rule: String, isMissing: Bool)] = []
    /// nil without leader election, and before the driver's name is known.
    package var lease: Lease?
    /// nil on a standby, which knows nothing of volumes: its series are absent, so that no volume is counted twice.
    package var volumes: Volumes?

    /// What is known.
    package init(isDriverConnected: Bool, lease: Lease? = nil, volumes: Volumes?) {
        self.isDriverConnected = isDriverConnected
        self.lease = lease
        self.volumes = volumes
    }
}
