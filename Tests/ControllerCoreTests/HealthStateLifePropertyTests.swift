// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Random histories across restarts, with every probe strategy, checked against the contents of the API server.
struct HealthStateLifePropertyTests {
    enum Strategy: CaseIterable {
        case listEveryVolume, listEveryVolumeAndGet, listUnhealthyVolumes, listUnhealthyVolumesAndGet, get
    }

    /// A driver, an API server and a monitor whose process may end at any time.
    struct World {
        var random: SeededGenerator
        let strategy: Strategy
        var now = Duration.zero
        var healthState = HealthState()
        let claims = (0..<6).map { Claim.named("claim-\($0)") }
        /// The conditions of each volume; nil if the driver does not have the volume.
        var truth: [String: [VolumeHealthCondition]?] = [:]
        /// By claim UID: the conditions in its last event.
        var events: [String: [VolumeHealthCondition]] = [:]
        /// By claim UID: the conditions in its status.
        var statuses: [String: [VolumeHealthCondition]] = [:]
        /// Claims for which this process lost the response to a report, and may repeat it.
        var uncertain: Set<String> = []

        init(seed: UInt64, strategy: Strategy) {
            random = SeededGenerator(seed: seed)
            self.strategy = strategy
            for number in claims.indices { truth[Self.handle(number)] = [] }
            restart()
        }

        /// The last two claims share a volume.
        static func handle(_ claim: Int) -> String { "h\(min(claim, 4))" }

        /// Ends a term and begins another one, in a new process or in the same one, which keeps its caches. The new
        /// term reads back what the API server holds.
        mutating func restart(keepingCaches: Bool = false) {
            uncertain = []
            if keepingCaches {
                healthState.endTerm()
                watch()
                healthState.beginTerm()
            } else {
                healthState = HealthState()
                for (number, claim) in claims.enumerated() {
                    let status = statuses[claim.uid] ?? []
                    healthState.bind(claim, handle: Self.handle(number), healthStatus: status, at: now)
                }
            }
            for claim in claims {
                guard let reported = events[claim.uid], !reported.isEmpty else { continue }
                let state = VolumeState(reported)
                healthState.restore(
                    reported: state.fingerprint,
                    claimUID: claim.uid,
                    key: claim.key,
                    reportedAt: now,
                    at: now
                )
            }
            healthState.beginStrategy(writesStatus: true)
            if strategy == .get {
                healthState.beginProbing(interval: .seconds(60), at: now, using: &random)
            }
        }

        mutating func change() {
            let volume = Self.handle(Int.random(in: 0..<claims.count, using: &random))
            truth[volume] = Int.random(in: 0..<6, using: &random) == 0 ? .some(nil) : .some(conditions())
        }

        private mutating func conditions() -> [VolumeHealthCondition] {
            VolumeHealthCondition.Status.allCases.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }.map {
                VolumeHealthCondition(
                    status: $0,
                    reason: Bool.random(using: &random) ? "A" : "B",
                    message: "m\(Int.random(in: 0..<3, using: &random))"
                )
            }
        }

        /// Probes all volumes. If this fails, some responses are missing.
        mutating func probeAll(failing: Bool) {
            if strategy == .get {
                probe(failing: failing)
                return
            }
            let leavesOutHealthy = strategy == .listUnhealthyVolumes || strategy == .listUnhealthyVolumesAndGet
            let canConfirm = strategy == .listEveryVolumeAndGet || strategy == .listUnhealthyVolumesAndGet
            healthState.beginSweep(at: now)
            for (handle, conditions) in truth.sorted(by: { $0.key < $1.key }) {
                if failing, Bool.random(using: &random) { continue }
                guard let conditions, !(leavesOutHealthy && conditions.isEmpty) else { continue }
                healthState.receive(VolumeHealthReport(volumeHandle: handle, conditions: conditions), at: now)
            }
            let kind: HealthState.ListKind = leavesOutHealthy ? .unhealthyVolumes : .everyVolume
            let absent = healthState.endSweep(failing ? .incomplete : .complete(kind, canConfirm: canConfirm), at: now)
            #expect(canConfirm || absent.isEmpty)
            for handle in absent { call(handle, failing: Int.random(in: 0..<4, using: &random) == 0) }
        }

        private mutating func probe(failing: Bool) {
            for _ in 0..<20 {
                guard case .run(let handle) = healthState.nextProbe(at: now) else { return }
                call(handle, failing: failing && Bool.random(using: &random))
            }
        }

        private mutating func call(_ handle: String, failing: Bool) {
            let result: ProbeResult =
                if failing {
                    Bool.random(using: &random) ? .failed : .interrupted
                } else if let conditions = truth[handle] ?? nil {
                    .report(VolumeHealthReport(volumeHandle: handle, conditions: conditions))
                } else {
                    .notFound
                }
            healthState.receive(result, ofVolumeHandle: handle, at: now)
        }

        /// Attempts the next event and the next status, each with a random outcome.
        mutating func report(failing: Bool) {
            if case .run(let event) = healthState.nextEvent(at: now) {
                let outcome = outcome(failing: failing)
                if outcome == .reported || outcome.isUncertain && Bool.random(using: &random) { deliver(event) }
                if outcome.isUncertain { uncertain.insert(event.claim.uid) }
                healthState.complete(event: event, outcome, at: now)
            }
            if case .run(let status) = healthState.nextStatus(at: now) {
                let outcome = outcome(failing: failing)
                let conditions = status.state.conditions
                if outcome == .reported || outcome.isUncertain && Bool.random(using: &random) {
                    statuses[status.claim.uid] = conditions
                }
                if outcome == .reported {
                    healthState.written(
                        status.claim,
                        volumeName: "pv-\(status.claim.key.name)",
                        healthStatus: conditions,
                        at: now
                    )
                }
                healthState.complete(status: status, outcome, at: now)
            }
        }

        private mutating func outcome(failing: Bool) -> ReportOutcome {
            let failures: [ReportOutcome] = [
                .refused, .unreachable, .responseLost, .failed(RequestFailure()),
            ]
            let isFailure = failing && Int.random(in: 0..<3, using: &random) == 0
            return isFailure ? failures.randomElement(using: &random) ?? .refused : .reported
        }

        private mutating func deliver(_ event: PendingReport<ClaimNumber, VolumeState, Claim>) {
            let before = Set((events[event.claim.uid] ?? []).map(\.identity))
            let after = Set(event.state.conditions.map(\.identity))
            if !uncertain.contains(event.claim.uid) {
                #expect(
                    (before != after) == (event.cause == .transition),
                    "reported twice, or a change reported as a refresh"
                )
            }
            events[event.claim.uid] = event.state.conditions
        }

        /// The watch delivers the claims as they are.
        mutating func watch() {
            for claim in claims {
                healthState.apply(
                    claim,
                    volumeName: "pv-\(claim.key.name)",
                    healthStatus: statuses[claim.uid] ?? [],
                    at: now
                )
            }
        }
    }

    @Test(arguments: Strategy.allCases, 0..<30 as Range<UInt64>)
    func `in the end, the API server shows the health of every volume`(strategy: Strategy, seed: UInt64) {
        var world = World(seed: seed, strategy: strategy)
        for _ in 0..<300 {
            world.now += .seconds(Int.random(in: 0...60, using: &world.random))
            switch Int.random(in: 0..<20, using: &world.random) {
            case 0..<5: world.change()
            case 5..<11: world.probeAll(failing: Bool.random(using: &world.random))
            case 11..<18: world.report(failing: true)
            case 18: world.watch()
            default: world.restart(keepingCaches: Bool.random(using: &world.random))
            }
        }
        // All faults end: the driver has all its volumes, and the driver and the API server respond.
        for (handle, conditions) in world.truth { world.truth[handle] = conditions ?? [] }
        world.watch()
        for _ in 0..<30 {
            // Volumes that failed for a long time are due again too.
            world.now += .seconds(60)
            world.probeAll(failing: false)
            for _ in 0..<40 { world.report(failing: false) }
        }
        for (number, claim) in world.claims.enumerated() {
            let expected = Set((world.truth[World.handle(number)] ?? nil)?.map(\.identity) ?? [])
            #expect(Set((world.events[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
            #expect(Set((world.statuses[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
        }
        // After that, only refreshes are reported.
        world.now += .seconds(60)
        world.probeAll(failing: false)
        let step = world.healthState.nextEvent(at: world.now)
        if case .run(let event) = step { #expect(event.cause == .refresh, "seed \(seed)") }
        let status = world.healthState.nextStatus(at: world.now)
        if case .run = status { Issue.record("seed \(seed): \(status)") }
    }
}
