// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Long random lives over restarts, with every way to ask a driver, checked from outside: by what the API server holds.
struct HealthStateLifePropertyTests {
    enum Way: CaseIterable {
        case listEveryVolume, listEveryVolumeAndGet, listUnhealthyVolumes, listUnhealthyVolumesAndGet, get
    }

    /// A driver, an API server and a monitor between them, whose process may end at any time.
    struct World {
        var random: SeededGenerator
        let way: Way
        var now = Duration.zero
        var healthState = HealthState()
        let claims = (0..<6).map { Claim.named("claim-\($0)") }
        /// What is wrong with each volume; nil: the driver does not have it.
        var truth: [String: [VolumeHealthCondition]?] = [:]
        /// By claim uid: what its last event said.
        var events: [String: [VolumeHealthCondition]] = [:]
        /// By claim uid: what its status says.
        var statuses: [String: [VolumeHealthCondition]] = [:]
        /// Claims that were reported something whose answer was lost, by this process: it may repeat itself.
        var uncertain: Set<String> = []

        init(seed: UInt64, way: Way) {
            random = SeededGenerator(seed: seed)
            self.way = way
            for number in claims.indices { truth[Self.handle(number)] = [] }
            restart()
        }

        /// The last two claims share a volume.
        static func handle(_ claim: Int) -> String { "h\(min(claim, 4))" }

        /// A term ends and another one begins, in a process of its own or in the same one, which keeps its caches; it knows
        /// what the API server holds.
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
            if way == .get {
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

        /// Asks the driver for all volumes. When it fails, some answers are missing.
        mutating func ask(failing: Bool) {
            if way == .get {
                probe(failing: failing)
                return
            }
            let leavesOutHealthy = way == .listUnhealthyVolumes || way == .listUnhealthyVolumesAndGet
            let canConfirm = way == .listEveryVolumeAndGet || way == .listUnhealthyVolumesAndGet
            healthState.beginSweep(at: now)
            for (handle, conditions) in truth.sorted(by: { $0.key < $1.key }) {
                if failing, Bool.random(using: &random) { continue }
                guard let conditions, !(leavesOutHealthy && conditions.isEmpty) else { continue }
                healthState.receive(VolumeHealthReport(volumeHandle: handle, conditions: conditions), at: now)
            }
            let kind: HealthState.ListKind = leavesOutHealthy ? .unhealthyVolumes : .everyVolume
            let absent = healthState.endSweep(failing ? .incomplete : .complete(kind, canConfirm: canConfirm), at: now)
            #expect(canConfirm || absent.isEmpty)
            for handle in absent { answer(handle, failing: Int.random(in: 0..<4, using: &random) == 0) }
        }

        private mutating func probe(failing: Bool) {
            for _ in 0..<20 {
                guard case .probe(let handle) = healthState.nextProbe(at: now) else { return }
                answer(handle, failing: failing && Bool.random(using: &random))
            }
        }

        private mutating func answer(_ handle: String, failing: Bool) {
            let answer: ProbeAnswer =
                if failing {
                    Bool.random(using: &random) ? .failed : .interrupted
                } else if let conditions = truth[handle] ?? nil {
                    .report(VolumeHealthReport(volumeHandle: handle, conditions: conditions))
                } else {
                    .notFound
                }
            healthState.receive(answer, ofVolumeHandle: handle, at: now)
        }

        /// Reports the next event and writes the next status, each with any outcome.
        mutating func report(failing: Bool) {
            if case .report(let event) = healthState.nextEvent(at: now) {
                let outcome = outcome(failing: failing)
                if outcome == .reported || outcome.isUncertain && Bool.random(using: &random) { deliver(event) }
                if outcome.isUncertain { uncertain.insert(event.claim.uid) }
                healthState.complete(event: event, outcome, at: now)
            }
            if case .report(let status) = healthState.nextStatus(at: now) {
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
                .refused, .unreachable, .unanswered, .failed(RequestFailure()),
                .failed(RequestFailure(isUncertain: true)),
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
                    "reported twice, or a change called a refresh"
                )
            }
            events[event.claim.uid] = event.state.conditions
        }

        /// The watch brings the claims as they are.
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

    @Test(arguments: Way.allCases, 0..<30 as Range<UInt64>)
    func `in the end the API server holds what is so`(way: Way, seed: UInt64) {
        var world = World(seed: seed, way: way)
        for _ in 0..<300 {
            world.now += .seconds(Int.random(in: 0...60, using: &world.random))
            switch Int.random(in: 0..<20, using: &world.random) {
            case 0..<5: world.change()
            case 5..<11: world.ask(failing: Bool.random(using: &world.random))
            case 11..<18: world.report(failing: true)
            case 18: world.watch()
            default: world.restart(keepingCaches: Bool.random(using: &world.random))
            }
        }
        // Everything works again: the driver has all its volumes and answers, and the API server too.
        for (handle, conditions) in world.truth { world.truth[handle] = conditions ?? [] }
        world.watch()
        for _ in 0..<30 {
            // Also volumes that failed for long are asked for again.
            world.now += .seconds(60)
            world.ask(failing: false)
            for _ in 0..<40 { world.report(failing: false) }
        }
        for (number, claim) in world.claims.enumerated() {
            let expected = Set((world.truth[World.handle(number)] ?? nil)?.map(\.identity) ?? [])
            #expect(Set((world.events[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
            #expect(Set((world.statuses[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
        }
        // And then nothing is reported but refreshes.
        world.now += .seconds(60)
        world.ask(failing: false)
        let step = world.healthState.nextEvent(at: world.now)
        if case .report(let event) = step { #expect(event.cause == .refresh, "seed \(seed)") }
        let status = world.healthState.nextStatus(at: world.now)
        if case .report = status { Issue.record("seed \(seed): \(status)") }
    }
}
