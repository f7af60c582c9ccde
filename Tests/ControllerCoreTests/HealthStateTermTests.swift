// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// The health state keeps its caches from one term to the next, and nothing else.
struct HealthStateTermTests {
    /// An operation on a health state. Returns its results as text.
    private typealias Action = (inout HealthState) -> [String]

    /// The objects of a cluster, and what can happen to them and to a health state that watches them.
    private struct Cluster {
        var random: SeededGenerator
        var now = Duration.zero
        private var volumes: [String: MonitoredVolume] = [:]
        private var claims: [ClaimKey: (claim: Claim, volumeName: String, status: [VolumeHealthCondition])] = [:]
        private var version = 1

        init(seed: UInt64) { random = SeededGenerator(seed: seed) }

        /// A new health state that has listed the objects.
        func list() -> HealthState {
            var healthState = HealthState()
            for volume in volumes.values { healthState.apply(volume, at: now) }
            for (claim, volumeName, status) in claims.values {
                healthState.apply(claim, volumeName: volumeName, healthStatus: status, at: now)
            }
            return healthState
        }

        /// Creates, changes or deletes a volume or a claim.
        mutating func change() -> Action {
            let now = now
            let key = ClaimKey(namespace: "default", name: "claim-\(Int.random(in: 0..<6, using: &random))")
            let volumeName = "pv-\(key.name)"
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                volumes[volumeName] = nil
                return { healthState in
                    healthState.removeVolume(named: volumeName, at: now)
                    return []
                }
            case 1:
                claims[key] = nil
                return { healthState in
                    healthState.removeClaim(key, at: now)
                    return []
                }
            case 2:
                // Released: the volume exists and is no longer bound to the claim.
                volumes[volumeName]?.isBound = false
                let volume = volumes[volumeName]
                return { healthState in
                    if let volume { healthState.apply(volume, at: now) }
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
                return { healthState in
                    healthState.apply(volume, at: now)
                    healthState.apply(claim, volumeName: volumeName, healthStatus: status, at: now)
                    return []
                }
            }
        }

        /// Reads back the reports of earlier terms.
        mutating func restore() -> Action {
            let now = now
            let reported = claims.values.sorted { $0.claim.uid < $1.claim.uid }.compactMap { claim, _, _ in
                let state = VolumeState(conditions())
                return state.isClear ? nil : (claim: claim, fingerprint: state.fingerprint)
            }
            return { healthState in
                for (claim, fingerprint) in reported {
                    healthState.restore(
                        reported: fingerprint,
                        claimUID: claim.uid,
                        key: claim.key,
                        reportedAt: now - .seconds(60),
                        at: now
                    )
                }
                healthState.restoreFromStatuses(except: Set(reported.map(\.claim.uid)), at: now)
                return []
            }
        }

        /// A random operation within a term.
        ///
        /// - Parameter outcomes: The outcomes of reports to choose from.
        mutating func act(_ outcomes: [ReportOutcome]) -> Action {
            let now = now
            switch Int.random(in: 0..<7, using: &random) {
            case 0: return change()
            case 1, 2:
                let (reports, end) = (reports(), sweepEnd())
                return { $0.sweep(reports, end, at: now) }
            case 3:
                let handle = "h\(Int.random(in: 0..<5, using: &random))"
                let results: [ProbeResult] = [.failed, .notFound, .withoutHealth, .report(.healthy(handle))]
                let result = results.randomElement(using: &random) ?? .failed
                return { healthState in
                    healthState.receive(result, ofVolumeHandle: handle, at: now)
                    return []
                }
            case 4:
                let writesStatus = Bool.random(using: &random)
                let random = random
                return { healthState in
                    healthState.beginStrategy(writesStatus: writesStatus)
                    var random = random
                    healthState.beginProbing(interval: .seconds(60), at: now, using: &random)
                    return []
                }
            default:
                let outcome = outcomes.randomElement(using: &random) ?? .reported
                return { HealthStateTermTests.reports(of: &$0, outcome, at: now) }
            }
        }

        private mutating func conditions() -> [VolumeHealthCondition] {
            VolumeHealthCondition.Status.allCases.filter { _ in Int.random(in: 0..<6, using: &random) == 0 }.map {
                VolumeHealthCondition(status: $0, reason: Bool.random(using: &random) ? "A" : "B", message: "m")
            }
        }

        private mutating func sweepEnd() -> HealthState.SweepEnd {
            let kind: HealthState.ListKind = Bool.random(using: &random) ? .everyVolume : .unhealthyVolumes
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
        .reported, .gone, .refused, .unreachable, .responseLost, .failed(RequestFailure()),
    ]

    /// Every report that is due, without the numbers of claims and reports.
    private static func reports(
        of healthState: inout HealthState,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> [String] {
        var reports: [String] = []
        while case .run(let event) = healthState.nextEvent(at: now) {
            reports.append("event \(event.claim) \(event.state) \(event.since) \(event.cause) \(event.isOwn)")
            healthState.complete(event: event, outcome, at: now)
        }
        while case .run(let status) = healthState.nextStatus(at: now) {
            reports.append("status \(status.claim) \(status.state) \(status.since) \(status.cause) \(status.isOwn)")
            healthState.complete(status: status, outcome, at: now)
        }
        while case .run(let event) = healthState.nextUnknownEvent(at: now) {
            reports.append("unknown \(event.claim) \(event.state)")
            healthState.complete(unknownEvent: event, outcome, at: now)
        }
        return reports.sorted()
    }

    /// What the health state shows to metrics and health checks.
    private static func view(of healthState: HealthState) -> [String] {
        [
            "\(healthState.healthCounts.map { "\($0)" }.sorted())",
            "\(healthState.unhealthyStates(of: healthState.unhealthyClaims).map { "\($0)" }.sorted())",
            "\(healthState.eventBacklog) \(healthState.statusBacklog) \(healthState.isStatusSupported)",
            "\(String(describing: healthState.absenceSuspicion)) \(problem(of: healthState))",
        ]
    }

    /// The problem without its example, which may be any handle.
    private static func problem(of healthState: HealthState) -> String {
        switch healthState.listProblem {
        case nil: "none"
        case .noConditions: "no conditions"
        case .foreignIDs(let volumeID, _): "foreign \(volumeID)"
        }
    }

    @Test(.tags(.rule9), arguments: 0..<200 as Range<UInt64>)
    func `a new term knows what a new process knows after listing the same objects`(seed: UInt64) {
        var cluster = Cluster(seed: seed)
        var kept = cluster.list()
        for _ in 0..<Int.random(in: 0..<4, using: &cluster.random) {
            for _ in 0..<40 {
                cluster.now += .seconds(Int.random(in: 0...60, using: &cluster.random))
                _ = cluster.act(Self.outcomes)(&kept)
            }
            // Leave reports in flight.
            _ = (kept.nextEvent(at: cluster.now), kept.nextStatus(at: cluster.now))
            kept.endTerm()
            for _ in 0..<10 {
                _ = cluster.change()(&kept)
                #expect(Self.reports(of: &kept, .reported, at: cluster.now).isEmpty)
            }
            #expect(kept.plans == HealthState().plans, "a standby queues nothing")
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
            // After other failures a single report is attempted, which may be any of those that are due.
            let action = cluster.act([.reported, .refused, .gone])
            #expect(action(&kept).sorted() == action(&new).sorted(), "seed \(seed), step \(step)")
            #expect(Self.view(of: kept) == Self.view(of: new), "seed \(seed), step \(step)")
        }
    }

    @Test(arguments: outcomes)
    func `the outcome of an earlier term's report changes nothing`(outcome: ReportOutcome) throws {
        let claim = Claim.named("data")
        var healthState = HealthState()
        healthState.bind(claim, handle: "h", at: .zero)
        healthState.sweep([.abnormal("h")], at: .zero)
        let late = try #require(healthState.nextEvent(at: .zero).job)
        healthState.endTerm()
        healthState.beginTerm()
        healthState.sweep([.abnormal("h")], at: .seconds(1))
        let own = try #require(healthState.nextEvent(at: .seconds(1)).job)
        #expect(late.attemptID != own.attemptID)
        healthState.complete(event: late, outcome, at: .seconds(2))
        #expect(healthState.eventBacklog.depth == 1)
        healthState.complete(event: own, .reported, at: .seconds(2))
        #expect(healthState.eventBacklog.depth == 0)
        #expect(healthState.nextEvent(at: .seconds(2)) == .wait(until: .seconds(1802)))
    }
}
