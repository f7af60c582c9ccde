// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

@testable import HealthCore
@testable import NodeCore

let driverName = "hostpath.csi.k8s.io"

extension NextStep {
    /// nil: nothing is due.
    var job: Job? { if case .run(let job) = self { job } else { nil } }
}

extension VolumeHealthCondition {
    static let inaccessible = VolumeHealthCondition(status: .inaccessible, reason: "MountLost", message: "not mounted")
    static let degraded = VolumeHealthCondition(status: .degraded, reason: "SlowIO", message: "3 of 12 paths")
    static let legacy = VolumeHealthCondition(abnormalMessage: "The volume isn't mounted")
}

extension NodeProbeOutcome {
    static let healthy = unhealthy()

    static func unhealthy(_ conditions: VolumeHealthCondition...) -> NodeProbeOutcome {
        .health(VolumeHealthReport(volumeHandle: "", conditions: conditions))
    }

    static func unknown(type: Int) -> NodeProbeOutcome {
        let unknown = UnknownCondition(type: type, reason: "Odd", message: "")
        return .health(VolumeHealthReport(volumeHandle: "", conditions: [], unknownConditions: [unknown]))
    }
}

extension NodePod {
    /// A pod whose volumes use the claims of the same names.
    static func named(
        _ name: String,
        uid: String? = nil,
        claims: [String] = ["data"],
        started: Bool = true,
        gated: Bool = false
    ) -> NodePod {
        NodePod(
            namespace: "default",
            name: name,
            uid: uid ?? "uid-\(name)",
            isStarted: started,
            volumes: claims.map { PodVolume(name: $0, source: .claim($0)) },
            readinessGates: gated ? [ReadinessCondition.type(driver: driverName)] : []
        )
    }

    func with(_ change: (inout NodePod) -> Void) -> NodePod {
        var pod = self
        change(&pod)
        return pod
    }

    func showing(_ status: String, reason: String, message: String = "") -> NodePod {
        let type = ReadinessCondition.type(driver: driverName)
        return with { $0.conditions = [PodCondition(type: type, status: status, reason: reason, message: message)] }
    }
}

extension ResolvedVolume {
    /// The volume `pv-CLAIM` with the handle `h-CLAIM`.
    static func of(_ claim: String, driver: String = driverName) -> ResolvedVolume {
        ResolvedVolume(
            driver: driver,
            volumeHandle: "h-\(claim)",
            volumeName: "pv-\(claim)",
            isBlock: false,
            claimName: claim,
            claimUID: "uid-\(claim)"
        )
    }
}

/// A node in simulated time: performs every step that the state hands out, and keeps what was done.
struct Simulation {
    typealias EventReport = PendingReport<NodeVolumeKey, VolumeState, NodeVolume>

    struct Call {
        var began: Duration
        var ends: Duration
        var probe: NodeProbe
        var outcome: NodeProbeOutcome
    }

    struct Event {
        var time: Duration
        var report: EventReport

        var pod: String { report.target.podName }
        var state: VolumeState { report.state }
    }

    var state: NodeHealthState
    var now = Duration.zero
    /// The outcome of a call, and how long it takes.
    var respond: (NodeProbe, Duration) -> (NodeProbeOutcome, Duration) = { _, _ in (.healthy, .milliseconds(5)) }
    var resolve: (ClaimLookup) -> ClaimResolution = { .volume(.of($0.name)) }
    var readBack: (NodeVolume) -> ReadbackResult = { _ in .nothing }
    var record: (EventReport) -> ReportOutcome = { _ in .reported }

    private(set) var lookups: [ClaimLookup] = []
    /// Those of them that were not read from a cache.
    private(set) var latestLookups: [ClaimLookup] = []
    private(set) var calls: [Call] = []
    private(set) var underWay: [Call] = []
    private(set) var maximumUnderWay = 0
    private(set) var readbacks: [NodeVolume] = []
    private(set) var events: [Event] = []
    private(set) var flappingEvents: [PendingReport<NodeVolumeKey, FlappingState, NodeVolume>] = []
    private(set) var unknownEvents: [UnknownCondition] = []
    private(set) var conditions: [(pod: String, condition: ReadinessCondition)] = []
    private(set) var changes: [NodeDriverChange] = []

    init(
        _ configuration: NodeHealthState.Configuration = .init(),
        seed: UInt64 = 1,
        capabilities: NodeCapabilities? = NodeCapabilities(strategy: .health, needsStagingPath: true)
    ) {
        state = NodeHealthState(configuration: configuration, seed: seed)
        if let capabilities { state.driverConnected(driverName, capabilities, at: now) }
    }

    /// Applies a complete list of pods.
    mutating func list(_ pods: NodePod...) {
        state.beginRelist()
        for pod in pods { state.apply(pod, at: now) }
        state.endRelist(at: now)
    }

    mutating func apply(_ pods: NodePod...) {
        for pod in pods { state.apply(pod, at: now) }
    }

    /// Restarts the driver, or only its connection.
    mutating func reconnect(isSameProcess: Bool = false) {
        let capabilities = NodeCapabilities(strategy: .health, needsStagingPath: true)
        state.driverDisconnected(driverName)
        state.driverConnected(driverName, capabilities, isSameProcess: isSameProcess, at: now)
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while true {
            let next = step()
            guard let next, next <= end else { break }
            now = max(now, next)
        }
        now = end
    }

    /// Performs what is due, and returns when something is due next.
    private mutating func step() -> Duration? {
        for call in underWay where call.ends <= now {
            changes += state.complete(probe: call.probe, call.outcome, at: now)
        }
        underWay.removeAll { $0.ends <= now }
        var waits: [Duration?] = []
        loop: while true {
            switch state.nextClaim(at: now) {
            case .run(let lookup):
                lookups.append(lookup)
                if state.needsLatest(lookup) { latestLookups.append(lookup) }
                state.complete(lookup: lookup, resolve(lookup), at: now)
            case .wait(let due):
                waits.append(due)
                break loop
            }
        }
        probe(&waits)
        loop: while true {
            switch state.nextReadback(at: now) {
            case .run(let volume):
                readbacks.append(volume)
                state.complete(readback: volume, readBack(volume), at: now)
            case .wait(let due):
                waits.append(due)
                break loop
            }
        }
        report(&waits)
        return waits.compactMap(\.self).min()
    }

    private mutating func probe(_ waits: inout [Duration?]) {
        while true {
            switch state.nextProbe(of: driverName, at: now) {
            case .run(let probe):
                let (outcome, latency) = respond(probe, now)
                let call = Call(began: now, ends: now + latency, probe: probe, outcome: outcome)
                calls.append(call)
                underWay.append(call)
                maximumUnderWay = max(maximumUnderWay, underWay.count)
            case .wait(let due):
                waits += underWay.map(\.ends) + [due]
                return
            }
        }
    }

    private mutating func report(_ waits: inout [Duration?]) {
        loop: while true {
            switch state.nextEvent(at: now) {
            case .run(let report):
                let outcome = record(report)
                if outcome == .reported { events.append(Event(time: now, report: report)) }
                state.complete(event: report, outcome, at: now)
            case .wait(let due):
                waits.append(due)
                break loop
            }
        }
        loop: while true {
            switch state.nextFlappingEvent(at: now) {
            case .run(let report):
                flappingEvents.append(report)
                state.complete(flappingEvent: report, .reported, at: now)
            case .wait(let due):
                waits.append(due)
                break loop
            }
        }
        while case .run(let report) = state.nextUnknownEvent(at: now) {
            unknownEvents.append(report.state)
            state.complete(unknownEvent: report, .reported, at: now)
        }
        while case .run(let report) = state.nextReadiness(at: now) {
            conditions.append((report.target.podName, report.state))
            state.complete(readiness: report, .reported, at: now)
        }
    }
}

extension Simulation {
    /// The calls for a volume of a pod.
    func calls(pod: String, volume: String? = nil) -> [Call] {
        calls.filter { $0.probe.key.podUID == "uid-\(pod)" && (volume == nil || $0.probe.key.volume == volume) }
    }

    /// The conditions in the events on a pod, in order, without refreshes.
    func transitions(pod: String) -> [[VolumeHealthCondition]] {
        events.filter { $0.pod == pod && $0.report.cause == .transition }.map(\.state.conditions)
    }
}
