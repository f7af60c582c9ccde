// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import VolumeHealth

/// A reconciler keeps its caches from one term to the next, and nothing else.
struct ReconcilerTermTests {
    /// What is done to a reconciler; returns what it gave.
    private typealias Action = (inout Reconciler) -> [String]

    /// The objects of a cluster, and what may happen to them and to a reconciler that watches them.
    private struct Cluster {
        var random: SeededGenerator
        var now = Duration.zero
        private var volumes: [String: MonitoredVolume] = [:]
        private var claims: [ClaimKey: (claim: Claim, volumeName: String, status: [VolumeHealthCondition])] = [:]
        private var version = 1

        init(seed: UInt64) { random = SeededGenerator(seed: seed) }

        /// A new reconciler that lists what there is.
        func list() -> Reconciler {
            var reconciler = Reconciler()
            for volume in volumes.values { reconciler.apply(volume, at: now) }
            for (claim, volumeName, status) in claims.values {
                reconciler.apply(claim, volumeName: volumeName, healthStatus: status, at: now)
            }
            return reconciler
        }

        /// Creates, changes or deletes a volume or a claim.
        mutating func change() -> Action {
            let now = now
            let key = ClaimKey(namespace: "default", name: "claim-\(Int.random(in: 0..<6, using: &random))")
            let volumeName = "pv-\(key.name)"
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                volumes[volumeName] = nil
                return { reconciler in
                    reconciler.removeVolume(named: volumeName, at: now)
                    return []
                }
            case 1:
                claims[key] = nil
                return { reconciler in
                    reconciler.removeClaim(key, at: now)
                    return []
                }
            case 2:
                // Released: the volume is there, and not the claim's.
                volumes[volumeName]?.isBound = false
                let volume = volumes[volumeName]
                return { reconciler in
                    if let volume { reconciler.apply(volume, at: now) }
                    return []
                }
            default:
                version += 1
                let known = Int.random(in: 0..<4, using: &random) == 0 ? nil : claims[key]?.claim.uid
                let claim = Claim(key: key, uid: known ?? "uid-\(version)", resourceVersion: "\(version)")
                let volume = MonitoredVolume.of(claim, handle: "h\(Int.random(in: 0..<5, using: &random))")
                let status = conditions()
                volumes[volumeName] = volume
                claims[key] = (claim, volumeName, status)
                return { reconciler in
                    reconciler.apply(volume, at: now)
                    reconciler.apply(claim, volumeName: volumeName, healthStatus: status, at: now)
                    return []
                }
            }
        }

        /// The reports of earlier terms are read back.
        mutating func restore() -> Action {
            let now = now
            let told = claims.values.sorted { $0.claim.uid < $1.claim.uid }.compactMap { claim, _, _ in
                let state = VolumeState(conditions())
                return state.isClear ? nil : (claim: claim, fingerprint: state.fingerprint)
            }
            return { reconciler in
                for (claim, fingerprint) in told {
                    reconciler.restore(
                        told: fingerprint,
                        claimUID: claim.uid,
                        key: claim.key,
                        toldAt: now - .seconds(60),
                        at: now
                    )
                }
                reconciler.restoreFromStatuses(except: Set(told.map(\.claim.uid)), at: now)
                return []
            }
        }

        /// Something that happens in a term.
        ///
        /// - Parameter outcomes: of reports.
        mutating func act(_ outcomes: [ReportOutcome]) -> Action {
            let now = now
            switch Int.random(in: 0..<7, using: &random) {
            case 0: return change()
            case 1, 2:
                let (reports, end) = (reports(), sweepEnd())
                return { $0.sweep(reports, end, at: now) }
            case 3:
                let handle = "h\(Int.random(in: 0..<5, using: &random))"
                let answers: [ProbeAnswer] = [.failed, .notFound, .withoutHealth, .report(.healthy(handle))]
                let answer = answers.randomElement(using: &random) ?? .failed
                return { reconciler in
                    reconciler.receive(answer, ofVolumeHandle: handle, at: now)
                    return []
                }
            case 4:
                let writesStatus = Bool.random(using: &random)
                let random = random
                return { reconciler in
                    reconciler.beginStrategy(writesStatus: writesStatus)
                    var random = random
                    reconciler.beginProbing(interval: .seconds(60), at: now, using: &random)
                    return []
                }
            default:
                let outcome = outcomes.randomElement(using: &random) ?? .told
                return { ReconcilerTermTests.reports(of: &$0, outcome, at: now) }
            }
        }

        private mutating func conditions() -> [VolumeHealthCondition] {
            VolumeHealthCondition.Status.allCases.filter { _ in Int.random(in: 0..<6, using: &random) == 0 }.map {
                VolumeHealthCondition(status: $0, reason: Bool.random(using: &random) ? "A" : "B", message: "m")
            }
        }

        private mutating func sweepEnd() -> Reconciler.SweepEnd {
            let kind: Reconciler.ListKind = Bool.random(using: &random) ? .everyVolume : .adverseVolumes
            return Int.random(in: 0..<4, using: &random) == 0 ? .incomplete : .complete(kind, canConfirm: false)
        }

        private mutating func reports() -> [VolumeHealthReport] {
            (0..<5).filter { _ in Int.random(in: 0..<5, using: &random) != 0 }.map {
                let unknown = UnknownCondition(type: 7, reason: "U\($0)", message: "m")
                return VolumeHealthReport(
                    volumeHandle: "h\($0)",
                    conditions: conditions(),
                    unknownConditions: Int.random(in: 0..<9, using: &random) == 0 ? [unknown] : []
                )
            }
        }
    }

    private static let outcomes: [ReportOutcome] = [
        .told, .gone, .refused, .unreachable, .unanswered, .failed(RequestFailure()),
    ]

    /// Everything that is due, whatever numbers claims and reports have.
    private static func reports(
        of reconciler: inout Reconciler,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> [String] {
        var reports: [String] = []
        while case .tell(let event) = reconciler.nextEvent(at: now) {
            reports.append("event \(event.claim) \(event.state) \(event.since) \(event.cause) \(event.isOwn)")
            reconciler.settle(event: event, outcome, at: now)
        }
        while case .tell(let status) = reconciler.nextStatus(at: now) {
            reports.append("status \(status.claim) \(status.state) \(status.since) \(status.cause) \(status.isOwn)")
            reconciler.settle(status: status, outcome, at: now)
        }
        while case .tell(let event) = reconciler.nextUnknownEvent(at: now) {
            reports.append("unknown \(event.claim) \(event.state)")
            reconciler.settle(unknownEvent: event, outcome, at: now)
        }
        return reports.sorted()
    }

    /// What it shows to metrics and health pages.
    private static func view(of reconciler: Reconciler) -> [String] {
        [
            "\(reconciler.healthCounts.map { "\($0)" }.sorted())",
            "\(reconciler.adverseStates(of: reconciler.adverseClaims).map { "\($0)" }.sorted())",
            "\(reconciler.eventBacklog) \(reconciler.statusBacklog) \(reconciler.isStatusSupported)",
            "\(String(describing: reconciler.absenceSuspicion)) \(problem(of: reconciler))",
        ]
    }

    /// Without its example, which may be any handle.
    private static func problem(of reconciler: Reconciler) -> String {
        switch reconciler.listProblem {
        case nil: "none"
        case .noConditions: "no conditions"
        case .foreignIDs(let volumeID, _): "foreign \(volumeID)"
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `rule 9: a new term knows what a new process knows that lists the same objects`(seed: UInt64) {
        var cluster = Cluster(seed: seed)
        var kept = cluster.list()
        for _ in 0..<Int.random(in: 0..<4, using: &cluster.random) {
            for _ in 0..<40 {
                cluster.now += .seconds(Int.random(in: 0...60, using: &cluster.random))
                _ = cluster.act(Self.outcomes)(&kept)
            }
            // Reports are under way.
            _ = (kept.nextEvent(at: cluster.now), kept.nextStatus(at: cluster.now))
            kept.endTerm()
            for _ in 0..<10 {
                _ = cluster.change()(&kept)
                #expect(Self.reports(of: &kept, .told, at: cluster.now).isEmpty)
            }
            #expect(kept.plans == Reconciler().plans, "a standby queues nothing")
            kept.beginTerm()
        }
        for _ in 0..<10 { _ = cluster.change()(&kept) }
        kept.endTerm()
        kept.beginTerm()
        var new = cluster.list()
        let restore = cluster.restore()
        #expect(restore(&kept) == restore(&new))
        for step in 0..<60 {
            cluster.now += .seconds(Int.random(in: 0...120, using: &cluster.random))
            // After other failures one report is tried, which may be any of several that are due.
            let action = cluster.act([.told, .refused, .gone])
            #expect(action(&kept).sorted() == action(&new).sorted(), "seed \(seed), step \(step)")
            #expect(Self.view(of: kept) == Self.view(of: new), "seed \(seed), step \(step)")
        }
    }

    @Test(arguments: outcomes)
    func `the outcome of a report of an earlier term changes nothing`(outcome: ReportOutcome) throws {
        let claim = Claim.named("data")
        var reconciler = Reconciler()
        reconciler.bind(claim, handle: "h", at: .zero)
        reconciler.sweep([.abnormal("h")], at: .zero)
        guard case .tell(let late) = reconciler.nextEvent(at: .zero) else {
            Issue.record("nothing to report")
            return
        }
        reconciler.endTerm()
        reconciler.beginTerm()
        reconciler.sweep([.abnormal("h")], at: .seconds(1))
        guard case .tell(let own) = reconciler.nextEvent(at: .seconds(1)) else {
            Issue.record("nothing to report")
            return
        }
        #expect(late.telling != own.telling)
        reconciler.settle(event: late, outcome, at: .seconds(2))
        #expect(reconciler.eventBacklog.depth == 1)
        reconciler.settle(event: own, .told, at: .seconds(2))
        #expect(reconciler.eventBacklog.depth == 0)
        #expect(reconciler.nextEvent(at: .seconds(2)) == .wait(until: .seconds(1802)))
    }
}
