// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import VolumeHealth

/// Long random lives over restarts, with every way to ask a driver, checked from outside: by what the API server holds.
struct ReconcilerLifePropertyTests {
    enum Way: CaseIterable {
        case listEveryVolume, listEveryVolumeAndGet, listAdverseVolumes, listAdverseVolumesAndGet, get
    }

    /// A driver, an API server and a monitor between them, whose process may end at any time.
    struct World {
        var random: SeededGenerator
        let way: Way
        var now = Duration.zero
        var reconciler = Reconciler()
        let claims = (0..<6).map { Claim.named("claim-\($0)") }
        /// What is wrong with each volume; nil: the driver does not have it.
        var truth: [String: [VolumeHealthCondition]?] = [:]
        /// By claim uid: what its last event said.
        var events: [String: [VolumeHealthCondition]] = [:]
        /// By claim uid: what its status says.
        var statuses: [String: [VolumeHealthCondition]] = [:]
        /// Claims that were told something whose answer was lost, by this process: it may repeat itself.
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
                reconciler.endTerm()
                watch()
                reconciler.beginTerm()
            } else {
                reconciler = Reconciler()
                for (number, claim) in claims.enumerated() {
                    let status = statuses[claim.uid] ?? []
                    reconciler.bind(claim, handle: Self.handle(number), healthStatus: status, at: now)
                }
            }
            for claim in claims {
                guard let told = events[claim.uid], !told.isEmpty else { continue }
                let state = VolumeState(told)
                reconciler.restore(told: state.fingerprint, claimUID: claim.uid, key: claim.key, toldAt: now, at: now)
            }
            reconciler.beginStrategy(writesStatus: true)
            if way == .get {
                reconciler.beginProbing(interval: .seconds(60), at: now, using: &random)
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
            let leavesOutHealthy = way == .listAdverseVolumes || way == .listAdverseVolumesAndGet
            let canConfirm = way == .listEveryVolumeAndGet || way == .listAdverseVolumesAndGet
            reconciler.beginSweep(at: now)
            for (handle, conditions) in truth.sorted(by: { $0.key < $1.key }) {
                if failing, Bool.random(using: &random) { continue }
                guard let conditions, !(leavesOutHealthy && conditions.isEmpty) else { continue }
                reconciler.receive(VolumeHealthReport(volumeHandle: handle, conditions: conditions), at: now)
            }
            let kind: Reconciler.ListKind = leavesOutHealthy ? .adverseVolumes : .everyVolume
            let absent = reconciler.endSweep(failing ? .incomplete : .complete(kind, canConfirm: canConfirm), at: now)
            #expect(canConfirm || absent.isEmpty)
            for handle in absent { answer(handle, failing: Int.random(in: 0..<4, using: &random) == 0) }
        }

        private mutating func probe(failing: Bool) {
            for _ in 0..<20 {
                guard case .probe(let handle) = reconciler.nextProbe(at: now) else { return }
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
            reconciler.receive(answer, ofVolumeHandle: handle, at: now)
        }

        /// Tells the next event and writes the next status, each with any outcome.
        mutating func tell(failing: Bool) {
            if case .tell(let event) = reconciler.nextEvent(at: now) {
                let outcome = outcome(failing: failing)
                if outcome == .told || outcome.isUncertain && Bool.random(using: &random) { deliver(event) }
                if outcome.isUncertain { uncertain.insert(event.claim.uid) }
                reconciler.settle(event: event, outcome, at: now)
            }
            if case .tell(let status) = reconciler.nextStatus(at: now) {
                let outcome = outcome(failing: failing)
                let conditions = status.state.conditions
                if outcome == .told || outcome.isUncertain && Bool.random(using: &random) {
                    statuses[status.claim.uid] = conditions
                }
                if outcome == .told {
                    reconciler.written(
                        status.claim,
                        volumeName: "pv-\(status.claim.key.name)",
                        healthStatus: conditions,
                        at: now
                    )
                }
                reconciler.settle(status: status, outcome, at: now)
            }
        }

        private mutating func outcome(failing: Bool) -> ReportOutcome {
            let failures: [ReportOutcome] = [
                .refused, .unreachable, .unanswered, .failed(RequestFailure()),
                .failed(RequestFailure(isUncertain: true)),
            ]
            let isFailure = failing && Int.random(in: 0..<3, using: &random) == 0
            return isFailure ? failures.randomElement(using: &random) ?? .refused : .told
        }

        private mutating func deliver(_ event: Announcement<ClaimNumber, VolumeState>) {
            let before = Set((events[event.claim.uid] ?? []).map(\.identity))
            let after = Set(event.state.conditions.map(\.identity))
            if !uncertain.contains(event.claim.uid) {
                #expect((before != after) == (event.cause == .transition), "told twice, or a change called a refresh")
            }
            events[event.claim.uid] = event.state.conditions
        }

        /// The watch brings the claims as they are.
        mutating func watch() {
            for claim in claims {
                reconciler.apply(
                    claim,
                    volumeName: "pv-\(claim.key.name)",
                    healthStatus: statuses[claim.uid] ?? [],
                    at: now
                )
            }
        }
    }

    @Test(arguments: Way.allCases, 0..<30 as Range<UInt64>)
    func inTheEndTheAPIServerHoldsWhatIsSo(way: Way, seed: UInt64) {
        var world = World(seed: seed, way: way)
        for _ in 0..<300 {
            world.now += .seconds(Int.random(in: 0...60, using: &world.random))
            switch Int.random(in: 0..<20, using: &world.random) {
            case 0..<5: world.change()
            case 5..<11: world.ask(failing: Bool.random(using: &world.random))
            case 11..<18: world.tell(failing: true)
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
            for _ in 0..<40 { world.tell(failing: false) }
        }
        for (number, claim) in world.claims.enumerated() {
            let expected = Set((world.truth[World.handle(number)] ?? nil)?.map(\.identity) ?? [])
            #expect(Set((world.events[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
            #expect(Set((world.statuses[claim.uid] ?? []).map(\.identity)) == expected, "seed \(seed), \(claim.uid)")
        }
        // And then nothing is told but refreshes.
        world.now += .seconds(60)
        world.ask(failing: false)
        let step = world.reconciler.nextEvent(at: world.now)
        if case .tell(let event) = step { #expect(event.cause == .refresh, "seed \(seed)") }
        let status = world.reconciler.nextStatus(at: world.now)
        if case .tell = status { Issue.record("seed \(seed): \(status)") }
    }
}
