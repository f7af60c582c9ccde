// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import NodeCore

/// A node with a driver of each generation and two pods for each, the core that monitors their volumes, and the reports
/// on the pods.
struct ProbedNode {
    static let legacyDriver = "legacy.example"
    static let healthDriver = "health.example"
    static let drivers = [legacyDriver, healthDriver]
    /// Volumes with these handles, the first half of ``legacyDriver``. Each is used by a pod of this name.
    private static let handles = ["a", "b", "c", "d"]

    fileprivate struct Reported {
        /// nil before the first report and after a recovery.
        var fingerprint: Fingerprint?
        /// Whether a response was lost, so that the API server may show another state.
        var isUncertain = false
        /// Whether a report was dropped, because the API server said that the pod is gone.
        var wasDropped = false
    }

    private var state = NodeHealthState(configuration: .init(recordsStorageEvents: true, flapping: .off), seed: 1)
    private var now = Duration.seconds(10_000)
    private var reported: [NodeVolumeKey: Reported] = [:]
    private var unknowns: [NodeVolumeKey: Set<Fingerprint>] = [:]
    private var storage: Reported?
    /// How often each pod was created.
    private var lives = [1, 1, 1, 1]

    init() {
        state.beginRelist()
        state.endRelist(at: now)
        for number in Self.handles.indices { create(number) }
        for driver in Self.drivers { connect(driver) }
    }

    private mutating func connect(_ driver: String) {
        let isLegacy = driver == Self.legacyDriver
        state.driverConnected(
            driver,
            NodeCapabilities(
                strategy: isLegacy ? .legacy : .health,
                needsStagingPath: true,
                reportsStorageHealth: !isLegacy
            ),
            at: now
        )
    }

    private func uid(_ number: Int) -> String { "\(Self.handles[number])-\(lives[number])" }

    private mutating func create(_ number: Int) {
        let handle = Self.handles[number]
        state.apply(
            NodePod(
                namespace: "default",
                name: handle,
                uid: uid(number),
                isStarted: true,
                volumes: [PodVolume(name: "data", source: .claim(handle))]
            ),
            at: now
        )
        // Those of other pods, whose volumes were not found, are read again.
        while case .run(let lookup) = state.nextClaim(at: now) {
            let volume = ResolvedVolume(
                driver: Self.drivers[(Self.handles.firstIndex(of: lookup.name) ?? number) / 2],
                volumeHandle: lookup.name,
                volumeName: "pv-\(lookup.name)",
                isBlock: false,
                claimName: lookup.name,
                claimUID: "uid-\(lookup.name)"
            )
            state.complete(lookup: lookup, .volume(volume), at: now)
        }
    }

    /// The unhealthy volumes, as the core knows them.
    private var unhealthy: [NodeVolumeKey: [VolumeHealthCondition]] {
        state.snapshot(at: now).unhealthy.reduce(into: [:]) { $0[$1.volume.key] = $1.conditions }
    }
}

// MARK: Calls

extension ProbedNode {
    /// Makes the next call to a driver for a volume, when it is due.
    mutating func probe(
        _ driver: String,
        outcome: (NodeProbe) throws(InvariantViolation) -> NodeProbeOutcome
    ) throws(InvariantViolation) {
        if case .wait(let due?) = state.nextProbe(of: driver, at: now) { now = max(now, due) }
        guard case .run(let probe) = state.nextProbe(of: driver, at: now) else { return }
        try require(probe.driver == driver, "a volume of \(probe.driver) is probed at \(driver)")
        let before = unhealthy
        let outcome = try outcome(probe)
        _ = state.complete(probe: probe, outcome, at: now)
        switch outcome {
        case .failed(.notFound):
            for key in before.keys { try require(unhealthy[key] != nil, "a volume that is not found is healthy") }
        case .failed: try require(unhealthy == before, "a failed call changes the state")
        case .noCondition: try requireNoChange(before, by: probe)
        case .health(let report):
            try report.requireBounds()
            if !report.conditions.isEmpty {
                try require(unhealthy[probe.key] == report.conditions, "an unhealthy volume is not known: \(probe.key)")
            } else if !report.isHealthy {
                try requireNoChange(before, by: probe)
            }
        }
    }

    /// A reply without health changes nothing, except that a missing volume is found.
    private func requireNoChange(
        _ before: [NodeVolumeKey: [VolumeHealthCondition]],
        by probe: NodeProbe
    ) throws(InvariantViolation) {
        var expected = before
        let missing = VolumeHealthCondition.notFound(volumeHandle: probe.volumeHandle)
        if before[probe.key] == [missing], unhealthy[probe.key] == nil { expected[probe.key] = nil }
        try require(unhealthy == expected, "a reply without known conditions changes the state")
    }

    /// Makes the next call for the health of the storage.
    mutating func probeStorage(_ outcome: StorageProbeOutcome) throws(InvariantViolation) {
        if case .wait(let due?) = state.nextStorageProbe(at: now) { now = max(now, due) }
        guard case .run(let probe) = state.nextStorageProbe(at: now) else { return }
        let before = state.snapshot(at: now).drivers.map(\.storage)
        _ = state.complete(storageProbe: probe, outcome, at: now)
        if case .failed = outcome {
            try require(state.snapshot(at: now).drivers.map(\.storage) == before, "a failed call changes the storage")
        }
    }
}

// MARK: Changes and reports

extension ProbedNode {
    mutating func advance(_ duration: Duration) { now += duration }

    /// A driver connects again, or a pod is replaced by one of the same name.
    mutating func change(_ choice: UInt8) {
        let number = Int(choice) % 6
        if number < 2 {
            state.driverDisconnected(Self.drivers[number])
            connect(Self.drivers[number])
        } else {
            state.remove(podUID: uid(number - 2))
            reported = reported.filter { $0.key.podUID != uid(number - 2) }
            unknowns = unknowns.filter { $0.key.podUID != uid(number - 2) }
            lives[number - 2] += 1
            create(number - 2)
        }
    }

    /// Reports everything that is due, always with the same outcome.
    mutating func reportAll(_ outcome: ReportOutcome) throws(InvariantViolation) {
        while case .run(let report) = state.nextEvent(at: now) {
            let isKnown = lives.indices.contains { uid($0) == report.target.podUID }
            try require(isKnown, "a report on a pod that does not exist: \(report.target)")
            try report.state.conditions.requireBounds()
            let message = report.target.message(for: report.state)
            try require(message.utf8.count <= 1024, "an event's message of \(message.utf8.count) bytes")
            try reported[report.key, default: Reported()].report(
                report.state.isClear ? nil : report.state.fingerprint,
                isRefresh: report.cause == .refresh,
                outcome
            )
            state.complete(event: report, outcome, at: now)
        }
        while case .run(let report) = state.nextUnknownEvent(at: now) {
            let fingerprint = report.state.fingerprint
            try report.state.requireBounds()
            try require(
                !unknowns[report.key.volume, default: []].contains(fingerprint),
                "an unknown condition is reported twice: \(report.state)"
            )
            if outcome == .reported { unknowns[report.key.volume, default: []].insert(fingerprint) }
            try require(unknowns[report.key.volume, default: []].count <= 16, "too many unknown conditions")
            state.complete(unknownEvent: report, outcome, at: now)
        }
        while case .run(let report) = state.nextStorageEvent(at: now) {
            try report.state.requireBounds()
            try require(report.target.driver == Self.healthDriver, "a report on the storage of \(report.target.driver)")
            var known = storage ?? Reported()
            try known.report(
                report.state.isClear ? nil : report.state.fingerprint,
                isRefresh: report.cause == .refresh,
                outcome
            )
            storage = known
            state.complete(storageEvent: report, outcome, at: now)
        }
    }

    /// After the last report, what was reported is what the core knows.
    func requireReported() throws(InvariantViolation) {
        let unhealthy = unhealthy
        for (key, conditions) in unhealthy where reported[key]?.wasDropped != true {
            let fingerprint = VolumeState(conditions).fingerprint
            try require(reported[key]?.fingerprint == fingerprint, "an unhealthy volume is not reported: \(key)")
        }
        for (key, known) in reported where !known.wasDropped && unhealthy[key] == nil {
            try require(known.fingerprint == nil, "a recovery is not reported: \(key)")
        }
    }
}

extension ProbedNode.Reported {
    /// Checks a report that the queue hands out, and records its outcome.
    ///
    /// - Parameter fingerprint: nil for a recovery.
    fileprivate mutating func report(
        _ fingerprint: Fingerprint?,
        isRefresh: Bool,
        _ outcome: ReportOutcome
    ) throws(InvariantViolation) {
        let isChange = fingerprint != self.fingerprint
        if isRefresh {
            try require(fingerprint != nil, "a recovery is reported again")
            try require(!isChange, "a change is reported as a refresh")
        } else {
            try require(isUncertain || isChange, "a state is reported twice")
        }
        switch outcome {
        case .reported: self = Self(fingerprint: fingerprint)
        case .failed, .refused, .unreachable: if outcome.isUncertain, isChange { isUncertain = true }
        case .gone: self = Self(wasDropped: true)
        }
    }
}

extension StorageHealth {
    fileprivate func requireBounds() throws(InvariantViolation) {
        try require(conditions.count <= 16, "\(conditions.count) conditions of the storage")
        for condition in conditions {
            try require((1...256).contains(condition.reason.utf8.count), "a reason of \(condition.reason.utf8.count)")
            try require(condition.message.utf8.count <= 1024, "a message of \(condition.message.utf8.count) bytes")
        }
    }
}
