// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import VolumeHealth

/// Long random lives of a small cluster, checked from outside: by what people were told and what is so.
struct ReconcilerPropertyTests {
    /// What a reader of the claims knows, and the rules that every announcement must keep.
    struct Reader {
        /// By claim uid: what was told last; nothing, when told of a recovery or never told anything.
        var known: [String: [VolumeHealthCondition]] = [:]
        /// Claims whose last announcement was not answered: the next one may repeat it, or end what never began.
        var unanswered: Set<String> = []

        mutating func read(_ announcement: Announcement<ClaimNumber, VolumeState>) {
            let before = known[announcement.claim.uid] ?? []
            defer { known[announcement.claim.uid] = announcement.state.conditions }
            if unanswered.remove(announcement.claim.uid) != nil { return }
            let changed = Set(before.map(\.identity)) != Set(announcement.state.conditions.map(\.identity))
            #expect(changed == (announcement.cause == .transition), "told twice, or a change called a refresh")
            #expect(!(before.isEmpty && announcement.state.conditions.isEmpty), "a recovery from nothing")
        }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func inTheEndEveryClaimKnowsWhatIsSo(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var reconciler = Reconciler()
        var reader = Reader()
        var now = Duration.zero
        /// The truth: what is wrong with each volume. The last two share a handle.
        let claims = (0..<6).map { Claim.named("claim-\($0)", in: "namespace-\($0 % 4)") }
        func handle(_ claim: Int) -> String { "h\(min(claim, 4))" }
        var truth: [String: [VolumeHealthCondition]] = [:]
        for (number, claim) in claims.enumerated() {
            reconciler.bind(claim, handle: handle(number))
            truth[handle(number)] = []
        }

        for _ in 0..<200 {
            now += .seconds(Int.random(in: 0...120, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let volume = handle(Int.random(in: 0..<claims.count, using: &random))
                truth[volume] = Self.conditions(using: &random)
            case 3..<7:
                Self.sweep(&reconciler, truth, complete: Bool.random(using: &random), at: now, using: &random)
            default:
                Self.tell(&reconciler, to: &reader, at: now, using: &random)
            }
        }

        // The API server is back, the driver answers in full: now everything must come right.
        now += .seconds(120)
        Self.sweep(&reconciler, truth, complete: true, at: now, using: &random)
        for announcement in reconciler.tellAll(at: now) {
            reader.read(announcement)
        }
        for (number, claim) in claims.enumerated() {
            let expected = Set(truth[handle(number), default: []].map(\.identity))
            #expect(Set(reader.known[claim.uid, default: []].map(\.identity)) == expected, "seed \(seed)")
        }
        // And then there is silence until a refresh is due.
        Self.sweep(&reconciler, truth, complete: true, at: now, using: &random)
        #expect(reconciler.tellAll(at: now).isEmpty, "seed \(seed)")
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

    /// A sweep over the truth. An incomplete one misses volumes and may take sick ones for healthy.
    private static func sweep(
        _ reconciler: inout Reconciler,
        _ truth: [String: [VolumeHealthCondition]],
        complete: Bool,
        at now: Duration,
        using random: inout SeededGenerator
    ) {
        reconciler.beginSweep(at: now)
        for (handle, conditions) in truth.sorted(by: { $0.key < $1.key }) {
            if !complete, Bool.random(using: &random) { continue }
            let reported = complete || conditions.isEmpty ? conditions : []
            reconciler.receive(VolumeHealthReport(volumeHandle: handle, conditions: reported), at: now)
        }
        _ = reconciler.endSweep(complete ? .complete(.everyVolume, canConfirm: false) : .incomplete, at: now)
    }

    /// Up to three steps, some of which fail.
    private static func tell(
        _ reconciler: inout Reconciler,
        to reader: inout Reader,
        at now: Duration,
        using random: inout SeededGenerator
    ) {
        for _ in 0..<3 {
            guard case .tell(let announcement) = reconciler.nextEvent(at: now) else { return }
            switch Int.random(in: 0..<7, using: &random) {
            case 4, 5:
                if Bool.random(using: &random) { reader.read(announcement) }
                reader.unanswered.insert(announcement.claim.uid)
                let outcome =
                    Bool.random(using: &random)
                    ? ReportOutcome.unanswered : .failed(RequestFailure(isUncertain: true))
                reconciler.settle(event: announcement, outcome, at: now)
            case 6: reconciler.settle(event: announcement, .failed(RequestFailure(isForbidden: true)), at: now)
            case 0: reconciler.settle(event: announcement, .unreachable, at: now)
            case 1: reconciler.settle(event: announcement, .refused, at: now)
            default:
                reader.read(announcement)
                reconciler.settle(event: announcement, .told, at: now)
            }
        }
    }
}
