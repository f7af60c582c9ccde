// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An API server, drivers, what is true of their volumes, faults, and a ledger that holds the monitors to their promises.
///
/// A test or a chaos run changes the volumes and brings faults about through it, lets it read the journals now and then,
/// and asks it what is broken and what is still to be reported. For one task to use.
package struct SimulatedWorld {
    /// How a volume is.
    package enum Health: Sendable, Hashable {
        case well
        /// Something is wrong; the text is the driver's message.
        case unhealthy(String)

        fileprivate var condition: SimulatedVolume.Condition {
            switch self {
            case .well: .healthy
            case .unhealthy(let message): .abnormal(message)
            }
        }

        fileprivate var entries: [SimulatedVolume.HealthEntry] {
            switch self {
            case .well: []
            case .unhealthy(let message): [.init(status: 3, reason: "Fault", message: message)]
            }
        }

        /// What an event says of it (rule 7 and README, Events).
        fileprivate func text(isLegacy: Bool) -> String? {
            switch self {
            case .well: nil
            case .unhealthy(let message): isLegacy ? message : "DataLoss (Fault): \(message)"
            }
        }
    }

    /// A driver and the name of the replica that asks it.
    package struct Replica: Sendable {
        /// As the lease and the events have it.
        package var identity: String
        /// Its driver; all drivers have the same volumes.
        package var driver: SimulatedDriver

        /// A replica.
        package init(identity: String, driver: SimulatedDriver) {
            self.identity = identity
            self.driver = driver
        }
    }

    private let server: SimulatedAPIServer
    private let replicas: [Replica]
    /// The volumes, all there at the beginning.
    package let volumes: [VolumeFixture]
    private let injector: FaultInjector
    private let start = ContinuousClock.now
    private let factor: Int
    private var health: [Health]
    private var uids: [String] = []
    private var backup: HealthLedger?
    /// The promises.
    package private(set) var ledger: HealthLedger
    /// Who asked a driver how its volumes are, and when, the latest last; not all that is long ago.
    package private(set) var probes: [(replica: String, time: Duration)] = []
    /// What was done and seen, the latest last, for whoever must find out what went wrong.
    package private(set) var history: [String] = []

    /// Makes the volumes, all well.
    ///
    /// - Parameters:
    ///   - replicas: those of the monitor; their drivers are running.
    ///   - factor: how much faster than time the monitors' clock runs.
    ///   - tokenFiles: where the monitors' tokens are.
    ///   - leaseDuration: of the monitors' lease.
    package init(
        server: SimulatedAPIServer,
        replicas: [Replica],
        volumes: [VolumeFixture],
        factor: Int = 1,
        tokenFiles: [String] = [],
        leaseDuration: Duration = .seconds(15)
    ) throws {
        self.server = server
        self.replicas = replicas
        self.volumes = volumes
        self.factor = factor
        injector = FaultInjector(
            server: server,
            drivers: replicas.map(\.driver),
            volumes: volumes,
            tokenFiles: tokenFiles
        )
        ledger = HealthLedger(leaseDuration: leaseDuration)
        health = volumes.map { _ in .well }
        for volume in volumes {
            try volume.create(in: server)
            for replica in replicas { replica.driver.set(.healthy, ofVolume: volume.handle) }
        }
        try lookAtClaims()
    }

    /// The time as the monitors' clock reports it.
    package var now: Duration { time(of: .now) }

    /// A moment as the monitors' clock reports it.
    package func time(of instant: ContinuousClock.Instant) -> Duration { (instant - start) * factor }

    /// Whether the drivers are of the legacy generation now.
    private var isLegacy: Bool {
        replicas.first?.driver.configuration.controllerCapabilities != SimulatedDriver.Configuration.healthCapabilities
    }

    // MARK: Changing the world

    /// From now on, a volume is so.
    package mutating func set(_ new: Health, ofVolume index: Int) {
        // First the ledger: nobody may hear of it sooner.
        observe()
        health[index] = new
        note("\(volumes[index].claimName) is \(new)")
        hold(index)
        for replica in replicas {
            replica.driver.set(new.condition, ofVolume: volumes[index].handle)
            replica.driver.set(health: new.entries, ofVolume: volumes[index].handle)
        }
    }

    /// Makes the claim and the PersistentVolume of a volume anew, which only a watch or a list shows; not where the volume
    /// has no claim now.
    package mutating func recreateClaim(ofVolume index: Int) throws {
        guard !uids[index].isEmpty else { return }
        note("\(volumes[index].claimName) is made anew")
        try volumes[index].delete(in: server)
        try volumes[index].create(in: server)
        try settleTruth()
    }

    /// How a volume is.
    package func health(ofVolume index: Int) -> Health { health[index] }

    /// The faults that are active.
    package var faults: [Fault] { injector.active }

    /// Brings a fault about.
    package mutating func begin(_ fault: Fault) async throws {
        note("begin \(fault.name)")
        if fault == .apiServer(.restoredFromBackup) {
            observe()
            backup = ledger
        }
        try await injector.begin(fault)
        try settleTruth()
    }

    /// Ends a fault.
    package mutating func end(_ fault: Fault) async throws {
        guard faults.contains(fault) else { return }
        note("end \(fault.name)")
        try await injector.end(fault)
        if fault == .apiServer(.restoredFromBackup), let backup {
            observe()
            ledger.restore(to: backup, at: now)
        }
        try settleTruth()
    }

    /// Nothing passes between a replica and the API server any more.
    package mutating func partition(replica identity: String) {
        note("partition \(identity)")
        injector.partition(user: identity)
    }

    /// Ends all partitions.
    package mutating func endPartitions() async {
        note("end partitions")
        await injector.endPartitions()
    }

    /// Ends all faults.
    package mutating func endFaults() async throws {
        for fault in faults.reversed() { try await end(fault) }
    }

    /// What is true after a change of claims or of the driver's generation.
    private mutating func settleTruth() throws {
        observe()
        try lookAtClaims()
        for index in volumes.indices { hold(index) }
    }

    private mutating func lookAtClaims() throws {
        let current = try volumes.map { volume in
            let claim = try server.object(
                kind: "PersistentVolumeClaim",
                namespace: volume.namespace,
                name: volume.claimName
            )
            let uid = claim?["metadata", "uid"]?.string ?? ""
            let reference = try server.object(kind: "PersistentVolume", name: volume.volumeName)?["spec", "claimRef"]
            return reference?["uid"]?.string == uid ? uid : ""
        }
        for uid in uids where !current.contains(uid) { ledger.forget(claimUID: uid) }
        uids = current
        for index in volumes.indices where !ledger.knows(claimUID: current[index]) { hold(index) }
    }

    private mutating func hold(_ index: Int) {
        guard !uids[index].isEmpty else { return }
        ledger.hold(
            health[index].text(isLegacy: isLegacy),
            claimUID: uids[index],
            name: volumes[index].claimName,
            at: now
        )
    }

    /// Writes into the history what somebody else did, such as a killed replica.
    package mutating func note(_ text: String) {
        history.append("\(now) \(text)")
        if history.count > 400 { history.removeFirst(200) }
    }
}

// MARK: - Looking at it

extension SimulatedWorld {
    private enum Entry {
        case request(RequestRecord)
        case call(SimulatedCall, replica: String)

        var time: ContinuousClock.Instant {
            switch self {
            case .request(let record): record.time
            case .call(let call, _): call.time
            }
        }
    }

    /// Reads what the journals have that is new. Returns what was not read before: the requests.
    @discardableResult
    package mutating func observe() -> [RequestRecord] {
        let records = server.journal.takeAll()
        var entries = records.map(Entry.request)
        for replica in replicas {
            entries += replica.driver.journal.takeAll().map { .call($0, replica: replica.identity) }
        }
        for entry in entries.sorted(by: { $0.time < $1.time }) {
            let time = time(of: entry.time)
            switch entry {
            case .request(let record):
                if record.isWritten { note(at: time, record) }
                ledger.record(record, at: time)
            case .call(let call, let replica):
                guard call.reportsHealth else { continue }
                probes.append((replica, time))
                if replicas.count > 1 { ledger.probe(by: replica, at: time) }
            }
        }
        if probes.count > 4000 { probes.removeFirst(2000) }
        return records
    }

    private mutating func note(at time: Duration, _ record: RequestRecord) {
        let request = record.request
        let body = request.body
        let text = [
            request.user ?? "", request.verb?.rawValue ?? "", request.resource, request.subresource,
            request.name, body?["reason"]?.string ?? "", body?["message"]?.string ?? "",
            body?["spec", "holderIdentity"]?.string ?? "", record.code == nil ? "(answer lost)" : "",
        ]
        history.append("\(time) " + text.filter { !$0.isEmpty }.joined(separator: " "))
    }

    /// Takes the questions to drivers so far out.
    package mutating func takeProbes() -> [(replica: String, time: Duration)] {
        defer { probes = [] }
        return probes
    }

    /// What the claims should have been reported by now and were not, and what their status should say.
    ///
    /// - Parameter limit: how long something may be so without being reported.
    package mutating func unsettled(after limit: Duration = .zero) throws -> [HealthLedger.Violation] {
        observe()
        var violations = ledger.unreported(at: now, after: limit)
        guard server.featureGates.contains(.csiVolumeHealth) else { return violations }
        for (index, volume) in volumes.enumerated() where !uids[index].isEmpty {
            let claim = try server.object(
                kind: "PersistentVolumeClaim",
                namespace: volume.namespace,
                name: volume.claimName
            )
            let conditions = claim?["status", "healthStatus", "healthConditions"]?.array ?? []
            let messages = conditions.map { $0["message"]?.string ?? "" }
            let expected =
                switch health[index] {
                case .well: [String]()
                case .unhealthy(let message): [message]
                }
            if messages != expected {
                violations.append(
                    .init(promise: "a", description: "status of \(volume.claimName): \(messages), not \(expected)")
                )
            }
        }
        return violations
    }
}
