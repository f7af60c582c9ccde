// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Random histories of a small cluster, checked against what was reported and the real health of the volumes.
struct HealthStatePropertyTests {
    /// What a reader of the events knows. Checks the rules that every report must keep.
    struct Reader {
        /// By claim UID: the conditions that were reported last. Empty after a recovery, absent before the first
        /// report.
        var known: [String: [VolumeHealthCondition]] = [:]
        /// Claims whose last report had no response. The next report may repeat it, or be the recovery from a condition
        /// that was never recorded.
        var lostResponses: Set<String> = []

        mutating func read(_ pendingReport: PendingReport<ClaimNumber, VolumeState, Claim>) {
            let before = known[pendingReport.claim.uid] ?? []
            defer { known[pendingReport.claim.uid] = pendingReport.state.conditions }
            if lostResponses.remove(pendingReport.claim.uid) != nil { return }
            let changed = Set(before.map(\.identity)) != Set(pendingReport.state.conditions.map(\.identity))
            #expect(
                changed == (pendingReport.cause == .transition),
                "reported twice, or a change reported as a refresh"
            )
            #expect(!(before.isEmpty && pendingReport.state.conditions.isEmpty), "a recovery without a condition")
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `in the end, the last report on every claim is true`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var healthState = HealthState()
        var reader = Reader()
        var now = Duration.zero
        /// The real conditions of each volume. The last two claims share a handle.
        let claims = (0..<6).map { Claim.named("claim-\($0)", in: "namespace-\($0 % 4)") }
        func handle(_ claim: Int) -> String { "h\(min(claim, 4))" }
        var health: [String: [VolumeHealthCondition]] = [:]
        for (number, claim) in claims.enumerated() {
            healthState.bind(claim, handle: handle(number))
            health[handle(number)] = []
        }

        for _ in 0..<200 {
            now += .seconds(Int.random(in: 0...120, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let volume = handle(Int.random(in: 0..<claims.count, using: &random))
                health[volume] = Self.conditions(using: &random)
            case 3..<7:
                Self.sweep(&healthState, health, complete: Bool.random(using: &random), at: now, using: &random)
            default:
                Self.report(&healthState, to: &reader, at: now, using: &random)
            }
        }

        // The API server is back and the driver replies in full: the reports must become true.
        now += .seconds(120)
        Self.sweep(&healthState, health, complete: true, at: now, using: &random)
        for pendingReport in healthState.reportAll(at: now) {
            reader.read(pendingReport)
        }
        for (number, claim) in claims.enumerated() {
            let expected = Set(health[handle(number), default: []].map(\.identity))
            #expect(Set(reader.known[claim.uid, default: []].map(\.identity)) == expected, "seed \(seed)")
        }
        // After that, nothing is reported until a refresh is due.
        Self.sweep(&healthState, health, complete: true, at: now, using: &random)
        #expect(healthState.reportAll(at: now).isEmpty, "seed \(seed)")
    }

    private static func conditions(using random: inout SeededGenerator) -> [VolumeHealthCondition] {
        VolumeHealthCondition.Status.allCases.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }.map {
            VolumeHealthCondition(
                status: $0,
                reason: Bool.random(using: &random) ? "A" : "B",
                message: "m\(Int.random(in: 0..<3, using: &random))"
            )
        }
    }

    /// A sweep over the real conditions. An incomplete one leaves out some volumes and returns the others as healthy.
    private static func sweep(
        _ healthState: inout HealthState,
        _ health: [String: [VolumeHealthCondition]],
        complete: Bool,
        at now: Duration,
        using random: inout SeededGenerator
    ) {
        healthState.beginSweep(at: now)
        for (handle, conditions) in health.sorted(by: { $0.key < $1.key }) {
            if !complete, Bool.random(using: &random) { continue }
            let reported = complete || conditions.isEmpty ? conditions : []
            healthState.receive(VolumeHealthReport(volumeHandle: handle, conditions: reported), at: now)
        }
        _ = healthState.endSweep(complete ? .complete(.everyVolume, canConfirm: false) : .incomplete, at: now)
    }

    /// Attempts up to three reports, some of which fail.
    private static func report(
        _ healthState: inout HealthState,
        to reader: inout Reader,
        at now: Duration,
        using random: inout SeededGenerator
    ) {
        for _ in 0..<3 {
            guard case .run(let pendingReport) = healthState.nextEvent(at: now) else { return }
            switch Int.random(in: 0..<7, using: &random) {
            case 4, 5:
                if Bool.random(using: &random) { reader.read(pendingReport) }
                reader.lostResponses.insert(pendingReport.claim.uid)
                healthState.complete(event: pendingReport, .responseLost, at: now)
            case 6: healthState.complete(event: pendingReport, .failed(RequestFailure(isForbidden: true)), at: now)
            case 0: healthState.complete(event: pendingReport, .unreachable, at: now)
            case 1: healthState.complete(event: pendingReport, .refused, at: now)
            default:
                reader.read(pendingReport)
                healthState.complete(event: pendingReport, .reported, at: now)
            }
        }
    }
}
