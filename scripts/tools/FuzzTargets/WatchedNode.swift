// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI
import NodeCore
import NodeMonitor

/// A node whose pods the watch shows and whose claims are read, with a connected driver that never responds.
struct WatchedNode {
    private static let driverName = "driver.example"

    /// The response to every read of a claim, and of a volume.
    var claim: ClaimFacts?
    var volume: VolumeFacts?
    private var state = NodeHealthState(seed: 1)
    private var now = Duration.seconds(1_000_000)
    /// The pods whose volumes may be probed, by namespace and name: the uid of the last one under the name.
    private var running: [[String]: String] = [:]
    /// The uids of pods that have started, and of those that are over.
    private var started: Set<String> = []
    private var over: Set<String> = []

    init() {
        state.beginRelist()
        state.endRelist(at: now)
        let capabilities = NodeCapabilities(strategy: .legacy, needsStagingPath: true, reportsStorageHealth: false)
        state.driverConnected(Self.driverName, capabilities, at: now)
    }

    mutating func apply(_ watched: WatchedPod) throws(InvariantViolation) {
        let pod = NodePod(watched)
        try pod.requireBounds()
        // What a test of identities needs: two pods of one uid do not exist.
        guard !running.contains(where: { $0.value == pod.uid && $0.key != [pod.namespace, pod.name] }) else { return }
        if let other = running[[pod.namespace, pod.name]], other != pod.uid { forget(other) }
        running[[pod.namespace, pod.name]] = pod.uid
        if pod.isStarted { started.insert(pod.uid) }
        if pod.isOver { over.insert(pod.uid) }
        state.apply(pod, at: now)
    }

    /// Time passes, or a pod is deleted.
    mutating func change(_ choice: UInt8) {
        now += .seconds(Int(choice))
        guard choice & 1 == 1, let name = running.keys.min(by: { $0.lexicographicallyPrecedes($1) }),
            let uid = running.removeValue(forKey: name)
        else { return }
        state.remove(podUID: uid)
        forget(uid)
    }

    private mutating func forget(_ uid: String) {
        started.remove(uid)
        over.remove(uid)
    }

    // MARK: Invariants

    /// Reads the claims that are due, and makes the calls that are due, which get no response.
    mutating func requireProbesOfRunningPods() throws(InvariantViolation) {
        while case .run(let lookup) = state.nextClaim(at: now) {
            state.complete(lookup: lookup, resolution(of: lookup), at: now)
        }
        while case .run(let probe) = state.nextProbe(of: Self.driverName, at: now) {
            let uid = probe.key.podUID
            try require(running.values.contains(uid), "a volume of a pod that does not exist is probed: \(probe)")
            try require(started.contains(uid), "a volume is probed before it is mounted: \(probe)")
            try require(!over.contains(uid), "a volume is probed after its pod has ended: \(probe)")
            try require(probe.publishPath.hasPrefix("/var/lib/kubelet/"), "a path is \(probe.publishPath)")
            try require(probe.publishPath.utf8.count < 1000, "a path has \(probe.publishPath.utf8.count) bytes")
            _ = state.complete(probe: probe, .failed(.unavailable), at: now)
        }
    }

    private func resolution(of lookup: ClaimLookup) -> ClaimResolution {
        guard let claim else { return .failed }
        switch lookup.stage(after: claim) {
        case .ended(let resolution): return resolution
        case .volume: return volume.map { lookup.resolution(claim: claim, volume: $0) } ?? .failed
        }
    }

    /// Without a response of a driver there is no report and nothing to read back.
    mutating func requireSilence() throws(InvariantViolation) {
        let later = now + .seconds(7200)
        if case .run(let report) = state.nextEvent(at: later) {
            throw InvariantViolation(message: "an event without a response of a driver: \(report.state)")
        }
        if case .run(let report) = state.nextUnknownEvent(at: later) {
            throw InvariantViolation(message: "an event without a response of a driver: \(report.state)")
        }
        if case .run(let report) = state.nextStorageEvent(at: later) {
            throw InvariantViolation(message: "an event without a response of a driver: \(report.state)")
        }
        if case .run(let volume) = state.nextReadback(at: later) {
            throw InvariantViolation(message: "an event is read back without a response of a driver: \(volume)")
        }
        try require(state.snapshot(at: later).unhealthy.isEmpty, "a volume is unhealthy without a response")
    }
}

extension NodePod {
    fileprivate func requireBounds() throws(InvariantViolation) {
        var names = [namespace, name, uid] + volumes.map(\.name)
        for volume in volumes {
            switch volume.source {
            case .claim(let claim): names.append(claim)
            case .inline(let driver): names.append(driver)
            case .genericEphemeral: break
            }
        }
        try require(names.allSatisfy { $0.utf8.count <= 253 }, "a name of a pod is too long: \(names)")
        let types = readinessGates + conditions.map(\.type)
        try require(types.allSatisfy { $0.utf8.count <= 317 }, "a condition's type is too long: \(types)")
        for condition in conditions {
            try require(condition.reason.utf8.count <= 1024, "a reason of \(condition.reason.utf8.count) bytes")
            try require(condition.message.utf8.count <= 2048, "a message of \(condition.message.utf8.count) bytes")
        }
    }
}
