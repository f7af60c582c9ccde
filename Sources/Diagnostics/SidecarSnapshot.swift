// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the sidecar knows at the moment of a scrape.
public struct SidecarSnapshot: Sendable {
    /// What waits for the API server.
    public struct Queue: Sendable {
        /// How many changes wait or are being reported.
        public var depth: Int
        /// How long the oldest waits; zero when there is none.
        public var oldest: Duration
        /// How many changes were queued in this term, those that are tried again included.
        public var adds: UInt64

        /// A queue.
        public init(depth: Int, oldest: Duration, adds: UInt64) {
            self.depth = depth
            self.oldest = oldest
            self.adds = adds
        }
    }

    /// What a leader knows of the driver.
    public struct Driver: Sendable {
        /// `vendor_version` of GetPluginInfo.
        public var version: String
        /// The RPC that reports health, without its service; `none` where the driver has none.
        public var method: String
        /// `legacy`, `health`, or `none`.
        public var generation: String

        /// A driver.
        public init(version: String, method: String, generation: String) {
            self.version = version
            self.method = method
            self.generation = generation
        }
    }

    /// What a leader knows of the volumes.
    public struct Volumes: Sendable {
        /// A claim whose volume is unhealthy.
        public struct AdverseClaim: Sendable {
            /// One condition of its volume.
            public struct Condition: Sendable {
                /// `Degraded`, `Inaccessible`, `DataLoss`.
                public var status: String
                /// The driver's word for it.
                public var reason: String

                /// A condition.
                public init(status: String, reason: String) {
                    self.status = status
                    self.reason = reason
                }
            }

            /// `metadata.namespace`
            public var namespace: String
            /// `metadata.name`
            public var name: String
            /// Each pair of status and reason once.
            public var conditions: [Condition]
            /// For how long the set of status and reason has been the same.
            public var age: Duration

            /// A claim.
            public init(namespace: String, name: String, conditions: [Condition], age: Duration) {
                self.namespace = namespace
                self.name = name
                self.conditions = conditions
                self.age = age
            }
        }

        /// Claims whose volumes are unhealthy.
        public var adverseClaims: [AdverseClaim]
        /// How many volumes are healthy.
        public var healthy: Int
        /// How many are not.
        public var adverse: Int
        /// Of how many nothing is known.
        public var unknown: Int
        /// Of how many what is known is too old.
        public var stale = 0
        /// Claims whose volumes could not be probed for five intervals, with the age of the last answer.
        public var unanswered: [(namespace: String, name: String, age: Duration)] = []
        /// Where volumes are probed one by one: how many of how many were answered in the last interval.
        public var round: (answered: Int, volumes: Int)?
        /// Events to be recorded.
        public var events: Queue
        /// Status fields to be written.
        public var statuses: Queue
        /// nil before it is identified in this term.
        public var driver: Driver?
        /// Whether the driver reports the health of its volumes at all.
        public var isDriverSupported: Bool
        /// Whether the API server keeps status fields, as far as is known.
        public var isStatusSupported: Bool
        /// Whether so many volumes are missing at once that none of them is reported.
        public var isAbsenceSuspected: Bool
        /// Why the driver's list of volumes is of no use: `no_conditions`, `foreign_ids`; nil while it is.
        public var listProblem: String?
        /// From one probe of a volume to its next; nil while volumes are not probed one by one.
        public var probeInterval: Duration?

        /// What is known.
        public init(
            adverseClaims: [AdverseClaim],
            healthy: Int,
            adverse: Int,
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
            self.adverseClaims = adverseClaims
            self.healthy = healthy
            self.adverse = adverse
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
    public struct Lease: Sendable {
        /// `metadata.name`
        public var name: String
        /// Whether this replica holds it.
        public var isHeld: Bool

        /// A lease.
        public init(name: String, isHeld: Bool) {
            self.name = name
            self.isHeld = isHeld
        }
    }

    /// Whether there is a connection to the driver.
    public var isDriverConnected: Bool
    /// Whether everything works that is needed for a report, as `/readyz` says.
    public var isUp = true
    /// For each watch that has begun, since its last event or bookmark.
    public var watchSilences: [(resource: String, age: Duration)] = []
    /// Each RBAC rule that was found missing, and whether it still is.
    public var rules: [(rule: String, isMissing: Bool)] = []
    /// nil without leader election, and before the driver's name is known.
    public var lease: Lease?
    /// nil on a standby, which knows nothing of volumes: its series are absent, so that no volume is counted twice.
    public var volumes: Volumes?

    /// What is known.
    public init(isDriverConnected: Bool, lease: Lease? = nil, volumes: Volumes?) {
        self.isDriverConnected = isDriverConnected
        self.lease = lease
        self.volumes = volumes
    }
}
