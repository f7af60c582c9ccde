// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// A node: pods, each with a volume, the driver's node plugin and its registration, the true health of the volumes,
/// faults, and a ledger that checks the agent's promises.
///
/// A volume that is not mounted for its pod, because the pod has not started or has ended, never looks healthy. For use
/// by one task.
package struct SimulatedNodeWorld {
    private struct Slot {
        let volume: VolumeFixture
        var pod: PodFixture
        var uid = ""
        /// nil for a healthy volume, else the driver's message.
        var message: String?
        var isLive = false
        /// When the API server gets the end of the pod, whose volume is unmounted; nil for any other pod.
        var endDue: Duration?
        /// Whether another pod is to start when the API server has that end.
        var startsAfterEnd = false
    }

    package static let volumeName = "data"
    private let server: SimulatedAPIServer
    private let driver: SimulatedDriver
    private let registration: SimulatedPluginRegistration
    private let kubeletRoot: String
    private let injector: FaultInjector
    private let start = ContinuousClock.now
    private let endDelays: ClosedRange<Duration>
    private var random: SeededGenerator
    private var slots: [Slot]
    private var backup: HealthLedger?
    package private(set) var ledger = HealthLedger()
    /// How often the agent has probed a volume.
    package private(set) var probes = 0
    /// Changes, faults and writes for the analysis of a failure; the latest hundreds, the latest last.
    package private(set) var history: [String] = []

    /// Creates the Node, and for each volume a pod that has started; the driver and its registration are running.
    ///
    /// - Parameters:
    ///   - tokenFiles: the files of the agent's tokens.
    ///   - endDelays: how long after the unmount the API server gets the end of a pod that ends by itself. The default
    ///     is what was measured on a kubelet (docs/agent.md, Limits).
    ///   - seed: determines these delays.
    package init(
        server: SimulatedAPIServer,
        driver: SimulatedDriver,
        registration: SimulatedPluginRegistration,
        kubeletRoot: String,
        nodeName: String,
        volumes: [VolumeFixture],
        tokenFiles: [String] = [],
        endDelays: ClosedRange<Duration> = .zero ... .seconds(9),
        seed: UInt64 = 1
    ) throws {
        self.server = server
        self.driver = driver
        self.registration = registration
        self.kubeletRoot = kubeletRoot
        self.endDelays = endDelays
        random = SeededGenerator(seed: seed)
        injector = FaultInjector(server: server, drivers: [driver], volumes: volumes, tokenFiles: tokenFiles)
        slots = volumes.enumerated().map { number, volume in
            var pod = PodFixture(
                name: "app-\(number)",
                nodeName: nodeName,
                volumes: [.init(name: Self.volumeName, source: .claim(volume.claimName))]
            )
            pod.namespace = volume.namespace
            return Slot(volume: volume, pod: pod)
        }
        try NodeFixture(name: nodeName).store(in: server)
        for index in slots.indices {
            try slots[index].volume.create(in: server)
            driver.set(nodeCondition: .healthy, ofVolume: slots[index].volume.handle)
            try createPod(index)
            try startPod(index)
        }
    }

    package var now: Duration { .now - start }

    package func isHealthy(_ index: Int) -> Bool { slots[index].message == nil }

    /// Adds a line to the history.
    package mutating func note(_ text: String) {
        history.append("\(now) \(text)")
        if history.count > 400 { history.removeFirst(200) }
    }

    // MARK: Volumes

    /// Sets the health of a volume.
    ///
    /// - Parameter message: the driver's; nil for a healthy volume.
    package mutating func set(_ message: String?, ofVolume index: Int) {
        // First the ledger: the agent must not report it before the ledger knows it.
        observe()
        slots[index].message = message
        note("\(slots[index].pod.name): \(message ?? "healthy")")
        recordHealth(index)
        let handle = slots[index].volume.handle
        driver.set(nodeCondition: message.map { .abnormal($0) } ?? .healthy, ofVolume: handle)
        driver.set(
            nodeHealth: message.map { [.init(status: 3, reason: "Fault", message: $0)] } ?? [],
            ofVolume: handle
        )
    }

    /// Lets every call about a pod's volume hang, as on a mount whose server is gone; or ends that.
    package mutating func hang(_ isHanging: Bool, volume index: Int) {
        note("\(slots[index].pod.name) \(isHanging ? "hangs" : "no longer hangs")")
        driver.respond(isHanging ? .never : nil, atPath: path(index))
    }

    private var isLegacy: Bool { driver.configuration.nodeCapabilities?.contains(7) == false }

    /// The text of the pod's event (README, Events); nil for a healthy volume.
    private func text(_ index: Int) -> String? {
        slots[index].message.map { text(index, isLegacy ? $0 : "DataLoss (Fault): \($0)") }
    }

    private func text(_ index: Int, _ conditions: String) -> String {
        "Volume \(Self.volumeName) (claim \(slots[index].volume.claimName)): \(conditions)"
    }

    private mutating func recordHealth(_ index: Int) {
        guard slots[index].isLive else { return }
        recordHealth(index, text(index))
    }

    private mutating func recordHealth(_ index: Int, _ text: String?) {
        let slot = slots[index]
        ledger.setHealth(text, podUID: slot.uid, volume: Self.volumeName, name: slot.pod.name, at: now)
    }

    private func path(_ index: Int) -> String {
        slots[index].volume.publishPath(podUID: slots[index].uid, kubeletRoot: kubeletRoot)
    }

    // MARK: Pods

    /// Creates a pod that has not started. Its volume is not mounted (fault 1 of external-health-monitor's agent).
    private mutating func createPod(_ index: Int) throws {
        (slots[index].pod.phase, slots[index].pod.hasStarted, slots[index].pod.uid) = ("Pending", false, nil)
        slots[index].uid = try slots[index].pod.create(in: server)
        unmount(index)
    }

    private static let notMounted = "The volume isn't mounted"

    /// A driver that looks at the pod's path calls the volume abnormal.
    private func unmount(_ index: Int) {
        var unmounted = SimulatedVolume(id: slots[index].volume.handle)
        unmounted.nodeHealth = [.init(status: 2, reason: "NotMounted", message: Self.notMounted)]
        driver.respond(
            isLegacy ? .nodeCondition(.abnormal(Self.notMounted)) : .nodeVolumeHealth(unmounted),
            atPath: path(index)
        )
    }

    /// Starts the pod of a slot, or another one when the API server has the end of the last one. Does nothing when it
    /// lives.
    package mutating func startPod(_ index: Int) throws {
        guard !slots[index].isLive else { return }
        guard slots[index].endDue == nil else {
            slots[index].startsAfterEnd = true
            return
        }
        if slots[index].pod.hasStarted { try createPod(index) }
        note("\(slots[index].pod.name) starts as \(slots[index].uid)")
        slots[index].isLive = true
        recordHealth(index)
        driver.respond(nil, atPath: path(index))
        try slots[index].pod.start(in: server)
    }

    /// Deletes the pod of a slot and creates another one of the same name, which has not started. The API server has
    /// the deletion before the kubelet unmounts the volume.
    package mutating func replacePod(_ index: Int) throws {
        endLife(index)
        try slots[index].pod.terminate(in: server)
        try removePod(index)
        try createPod(index)
    }

    /// Ends the pod of a slot by itself, as a Job's: the kubelet unmounts the volume at once, and the API server gets
    /// the end later, by ``advance()``.
    ///
    /// Source: measured on a kubelet 1.36.2 (docs/agent.md, Limits); pkg/kubelet/status/status_manager.go writes the
    /// statuses of pods one after another, and all that differ every ten seconds.
    package mutating func completePod(_ index: Int) {
        observe()
        if slots[index].message != nil {
            // Of a volume that was reported as unhealthy, other conditions are reported at once.
            let conditions = isLegacy ? Self.notMounted : "Inaccessible (NotMounted): \(Self.notMounted)"
            recordHealth(index, text(index, conditions))
        }
        endLife(index)
        unmount(index)
        let (least, most) = (endDelays.lowerBound, endDelays.upperBound)
        slots[index].endDue = now + least + (most - least) * Double.random(in: 0...1, using: &random)
    }

    /// Writes the ends of pods that are due. Call it again and again.
    package mutating func advance() throws {
        for index in slots.indices {
            guard let due = slots[index].endDue, due <= now else { continue }
            note("\(slots[index].pod.name) has ended in the API server")
            slots[index].endDue = nil
            try slots[index].pod.end(in: server)
            try removePod(index)
            if slots[index].startsAfterEnd {
                slots[index].startsAfterEnd = false
                try startPod(index)
            }
        }
    }

    /// Whether the API server lacks the end of a pod.
    package var lacksEnd: Bool { slots.contains { $0.endDue != nil } }

    /// From now on, nothing new is true of the pod's volume.
    private mutating func endLife(_ index: Int) {
        observe()
        note("\(slots[index].pod.name) ends, \(slots[index].uid)")
        ledger.end(podUID: slots[index].uid, at: now)
        slots[index].isLive = false
    }

    private func removePod(_ index: Int) throws {
        let path = path(index)
        driver.respond(.fail(.notFound, "Could not get file information from \(path)"), atPath: path)
        try slots[index].pod.delete(in: server)
    }

    // MARK: Faults

    /// Stops the driver, as its process ends; or starts it again.
    package mutating func setDriver(isRunning: Bool) async throws {
        note(isRunning ? "the driver starts" : "the driver stops")
        if isRunning { try driver.start() } else { await driver.stop() }
    }

    /// Removes the registration's socket, as a restart of the registrar does; or creates it again.
    package mutating func setRegistration(isPresent: Bool) async throws {
        note(isPresent ? "the driver registers" : "the registration goes")
        if isPresent { try registration.start() } else { await registration.stop() }
    }

    package var faults: [Fault] { injector.active }

    package mutating func begin(_ fault: Fault) async throws {
        note("begin \(fault.name)")
        if fault == .apiServer(.restoredFromBackup) {
            observe()
            backup = ledger
        }
        try await injector.begin(fault)
    }

    package mutating func end(_ fault: Fault) async throws {
        guard faults.contains(fault) else { return }
        note("end \(fault.name)")
        try await injector.end(fault)
        if fault == .apiServer(.restoredFromBackup), let backup {
            observe()
            ledger.restore(to: backup, at: now)
        }
    }

    // MARK: Observation

    /// Takes the new records out of the journals and records them in the ledger.
    package mutating func observe() {
        probes += driver.journal.takeAll().count { !$0.volumePath.isEmpty }
        for record in server.journal.takeAll().sorted(by: { $0.time < $1.time }) {
            let time = record.time - start
            if record.isWritten { history.append("\(time) \(record.summary)") }
            ledger.record(record, at: time)
        }
    }

    /// The volumes of living pods whose last report differs from their health.
    package mutating func unsettled() -> [HealthLedger.Violation] {
        observe()
        return ledger.unreported(at: now)
    }
}
