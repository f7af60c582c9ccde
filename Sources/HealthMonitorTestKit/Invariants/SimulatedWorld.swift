// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An API server, CSI drivers, the true health of their volumes, faults, and a ledger that checks the monitors'
/// promises.
///
/// A test or a chaos run changes volumes and injects faults through it, calls ``observe()`` to read the journals, and
/// reads violations and missing reports from it. For use by one task.
package struct SimulatedWorld {
    /// The true health of a volume.
    package enum Health: Sendable, Hashable {
        case healthy
        /// With the driver's message.
        case unhealthy(String)

        fileprivate var condition: SimulatedVolume.Condition {
            switch self {
            case .healthy: .healthy
            case .unhealthy(let message): .abnormal(message)
            }
        }

        fileprivate var entries: [SimulatedVolume.HealthEntry] {
            switch self {
            case .healthy: []
            case .unhealthy(let message): [.init(status: 3, reason: "Fault", message: message)]
            }
        }

        /// The message of the claim's event (rule 7 and README, Events); nil for a healthy volume.
        fileprivate func text(isLegacy: Bool) -> String? {
            switch self {
            case .healthy: nil
            case .unhealthy(let message): isLegacy ? message : "DataLoss (Fault): \(message)"
            }
        }
    }

    /// A replica of the monitor and its driver.
    package struct Replica: Sendable {
        /// As in the lease and the events.
        package var identity: String
        /// All drivers have the same volumes.
        package var driver: SimulatedDriver

        package init(identity: String, driver: SimulatedDriver) {
            self.identity = identity
            self.driver = driver
        }
    }

    private let server: SimulatedAPIServer
    private let replicas: [Replica]
    package let volumes: [VolumeFixture]
    private let injector: FaultInjector
    private let start = ContinuousClock.now
    private let factor: Int
    private var health: [Health]
    private var uids: [String] = []
    private var backup: HealthLedger?
    package private(set) var ledger: HealthLedger
    /// Which replica probed its driver for health, and when; the latest thousands, the latest last.
    package private(set) var probes: [(replica: String, time: Duration)] = []
    /// Changes, faults and writes for the analysis of a failure; the latest hundreds, the latest last.
    package private(set) var history: [String] = []

    /// Creates the volumes, all healthy.
    ///
    /// - Parameters:
    ///   - replicas: their drivers are running.
    ///   - factor: how much faster than real time the monitors' clock runs.
    ///   - tokenFiles: the files of the monitors' tokens.
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
        health = volumes.map { _ in .healthy }
        for volume in volumes {
            try volume.create(in: server)
            for replica in replicas { replica.driver.set(.healthy, ofVolume: volume.handle) }
        }
        try refreshClaims()
    }

    /// The time on the monitors' clock.
    package var now: Duration { time(of: .now) }

    /// A moment on the monitors' clock.
    package func time(of instant: ContinuousClock.Instant) -> Duration { (instant - start) * factor }

    /// Whether the drivers report VolumeCondition now.
    private var isLegacy: Bool {
        replicas.first?.driver.configuration.controllerCapabilities != SimulatedDriver.Configuration.healthCapabilities
    }

    // MARK: Changes

    /// Sets the health of a volume.
    package mutating func set(_ new: Health, ofVolume index: Int) {
        // First the ledger: a monitor must not report it before the ledger knows it.
        observe()
        health[index] = new
        note("\(volumes[index].claimName) is \(new)")
        recordHealth(ofVolume: index)
        for replica in replicas {
            replica.driver.set(new.condition, ofVolume: volumes[index].handle)
            replica.driver.set(health: new.entries, ofVolume: volumes[index].handle)
        }
    }

    /// Deletes the claim and the PersistentVolume of a volume and creates them again, which only a watch or a list
    /// shows. Does nothing when the volume has no claim now.
    package mutating func recreateClaim(ofVolume index: Int) throws {
        guard !uids[index].isEmpty else { return }
        note("\(volumes[index].claimName) is recreated")
        try volumes[index].delete(in: server)
        try volumes[index].create(in: server)
        try updateLedger()
    }

    package func health(ofVolume index: Int) -> Health { health[index] }

    /// The active faults.
    package var faults: [Fault] { injector.active }

    /// Begins a fault.
    package mutating func begin(_ fault: Fault) async throws {
        note("begin \(fault.name)")
        if fault == .apiServer(.restoredFromBackup) {
            observe()
            backup = ledger
        }
        try await injector.begin(fault)
        try updateLedger()
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
        try updateLedger()
    }

    /// Partitions a replica from the API server.
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

    /// Updates the ledger after a change of claims or of the drivers' generation.
    private mutating func updateLedger() throws {
        observe()
        try refreshClaims()
        for index in volumes.indices { recordHealth(ofVolume: index) }
    }

    private mutating func refreshClaims() throws {
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
        for index in volumes.indices where !ledger.contains(claimUID: current[index]) { recordHealth(ofVolume: index) }
    }

    private mutating func recordHealth(ofVolume index: Int) {
        guard !uids[index].isEmpty else { return }
        ledger.setHealth(
            health[index].text(isLegacy: isLegacy),
            claimUID: uids[index],
            name: volumes[index].claimName,
            at: now
        )
    }

    /// Adds a line to the history.
    package mutating func note(_ text: String) {
        history.append("\(now) \(text)")
        if history.count > 400 { history.removeFirst(200) }
    }
}

// MARK: - Observation

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

    /// Takes the new records out of the journals and records them in the ledger.
    ///
    /// - Returns: the new requests to the API server.
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
                if record.isWritten { history.append("\(time) \(record.summary)") }
                ledger.record(record, at: time)
            case .call(let call, let replica):
                guard call.reportsHealth else { continue }
                probes.append((replica, time))
                if replicas.count > 1 { ledger.recordProbe(by: replica, at: time) }
            }
        }
        if probes.count > 4000 { probes.removeFirst(2000) }
        return records
    }

    /// Removes and returns the probes so far.
    package mutating func takeProbes() -> [(replica: String, time: Duration)] {
        defer { probes = [] }
        return probes
    }

    /// The claims whose events or status differ from their volume's health.
    ///
    /// - Parameter limit: how long a state may last without an event.
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
                case .healthy: [String]()
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

extension RequestRecord {
    /// A write, for a history.
    var summary: String {
        let body = request.body
        let text = [
            request.user ?? "", request.verb?.rawValue ?? "", request.resource, request.subresource,
            request.name, body?["reason"]?.string ?? "", body?["message"]?.string ?? "",
            body?["spec", "holderIdentity"]?.string ?? "", code == nil ? "(response lost)" : "",
        ]
        return text.filter { !$0.isEmpty }.joined(separator: " ")
    }
}
