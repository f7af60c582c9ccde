// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// Mass absence is not absence. The behaviour of real drivers is in docs/migration.md, "How drivers behave".
struct MassAbsenceTests {
    static let list = HealthState.SweepEnd.complete(.everyVolume, canConfirm: false)
    static let listAndGet = HealthState.SweepEnd.complete(.everyVolume, canConfirm: true)
    static let interval = 300

    static func healthState(_ count: Int, hold: Duration = .seconds(600)) -> HealthState {
        var healthState = HealthState(configuration: .init(absenceLimits: AbsenceLimits(hold: hold)))
        for number in 0..<count { healthState.bind(.named("c\(number)"), handle: "h\(number)") }
        return healthState
    }

    static func healthy(_ range: Range<Int>) -> [VolumeHealthReport] { range.map { .healthy("h\($0)") } }

    /// What the driver lists from the second list on, and how many missing volumes are reported before the hold ends.
    @Test(arguments: [
        (of: 50, left: 0, reported: 0), (of: 50, left: 25, reported: 0), (of: 50, left: 44, reported: 0),
        (of: 50, left: 45, reported: 5), (of: 2, left: 0, reported: 0), (of: 2, left: 1, reported: 1),
        (of: 1, left: 0, reported: 1), (of: 3, left: 1, reported: 2), (of: 3, left: 0, reported: 0),
        (of: 1000, left: 950, reported: 50), (of: 1000, left: 949, reported: 0),
    ])
    func `before the hold ends, missing volumes are reported only up to the limit`(
        of count: Int,
        left: Int,
        reported: Int
    ) {
        for canConfirm in [true, false] {
            var healthState = Self.healthState(count)
            healthState.sweep(Self.healthy(0..<count), canConfirm ? Self.listAndGet : Self.list, at: .zero)
            var early = 0
            for list in 1...2 {
                let now = Duration.seconds(list * Self.interval)
                let absent = healthState.sweep(
                    Self.healthy(0..<left),
                    canConfirm ? Self.listAndGet : Self.list,
                    at: now
                )
                for handle in absent { healthState.receive(.notFound, ofVolumeHandle: handle, at: now) }
                early += healthState.reportAll(at: now).count
            }
            #expect(early == reported)
            #expect((healthState.absenceSuspicion != nil) == (reported == 0))
            // After the hold, the absence is believed.
            let late = Duration.seconds(3 * Self.interval)
            let absent = healthState.sweep(Self.healthy(0..<left), canConfirm ? Self.listAndGet : Self.list, at: late)
            for handle in absent { healthState.receive(.notFound, ofVolumeHandle: handle, at: late) }
            #expect(healthState.reportAll(at: late).count == count - left - reported)
            #expect(healthState.absenceSuspicion == nil)
        }
    }

    @Test func `a call that finds a volume overrides the list`() {
        var healthState = Self.healthState(50)
        healthState.sweep(Self.healthy(0..<50), Self.listAndGet, at: .zero)
        let absent = healthState.sweep([], Self.listAndGet, at: .seconds(300))
        #expect(absent.count == 50)
        for handle in absent.dropFirst() {
            healthState.receive(.report(.healthy(handle)), ofVolumeHandle: handle, at: .seconds(301))
        }
        #expect(healthState.reportAll(at: .seconds(301)).isEmpty)
    }

    /// Volumes of other clusters vanish too: the list is empty, although only one volume of this cluster is missing.
    @Test(arguments: [true, false])
    func `an empty list after a full one does not count as an absence`(canConfirm: Bool) {
        var healthState = Self.healthState(1)
        let end = canConfirm ? Self.listAndGet : Self.list
        healthState.sweep(Self.healthy(0..<50), end, at: .zero)
        for list in 1...3 {
            let now = Duration.seconds(list * Self.interval)
            let absent = healthState.sweep([], end, at: now)
            for handle in absent { healthState.receive(.notFound, ofVolumeHandle: handle, at: now) }
            #expect(healthState.reportAll(at: now).count == (list == 3 ? 1 : 0))
        }
    }

    @Test func `during a mass absence, reported conditions remain, and volumes found again are reported as before`() {
        var healthState = Self.healthState(50)
        healthState.sweep(Self.healthy(0..<49) + [.abnormal("h49")], Self.list, at: .zero)
        #expect(healthState.reportAll(at: .zero).count == 1)
        for second in [300, 400] { healthState.sweep([], Self.list, at: .seconds(second)) }
        #expect(healthState.absenceSuspicion?.missing == 50)
        #expect(healthState.reportAll(at: .seconds(400)).isEmpty)
        #expect(healthState.unhealthyClaims.count == 1)
        healthState.sweep(Self.healthy(0..<50), Self.list, at: .seconds(500))
        #expect(healthState.absenceSuspicion == nil)
        let reported = healthState.reportAll(at: .seconds(500))
        #expect(reported.map(\.state.isClear) == [true])
    }

    @Test func `the last few missing volumes are reported only after another list`() {
        var healthState = Self.healthState(50)
        healthState.sweep(Self.healthy(0..<50), Self.list, at: .zero)
        for second in [300, 400] { healthState.sweep([], Self.list, at: .seconds(second)) }
        healthState.sweep(Self.healthy(0..<49), Self.list, at: .seconds(500))
        #expect(healthState.absenceSuspicion == nil)
        #expect(healthState.reportAll(at: .seconds(500)).isEmpty)
        healthState.sweep(Self.healthy(0..<49), Self.list, at: .seconds(600))
        #expect(healthState.reportAll(at: .seconds(600)).count == 1)
    }

    /// As with two management endpoints behind one address, one of which does not know some volumes.
    @Test func `a volume that is missing all the time is reported while a few others come and go`() {
        var healthState = Self.healthState(50)
        healthState.sweep(Self.healthy(0..<50), Self.list, at: .zero)
        var reported: [(second: Int, count: Int)] = []
        for list in 1...6 {
            let present = list.isMultiple(of: 2) ? 0..<49 : 0..<43
            healthState.sweep(Self.healthy(present), Self.list, at: .seconds(300 * list))
            let count = healthState.reportAll(at: .seconds(300 * list)).count
            if count > 0 { reported.append((300 * list, count)) }
        }
        // At the third list it has been missing for ten minutes.
        #expect(reported.map(\.second) == [900])
        #expect(reported.map(\.count) == [1])
    }

    // MARK: Volumes probed one by one

    /// Probes volumes one by one. Each call takes no time.
    struct GetWorld {
        var healthState: HealthState
        var now = Duration.zero
        var random = SeededGenerator(seed: 7)
        var reported: [(at: Duration, isClear: Bool)] = []

        init(_ count: Int) {
            self.init(MassAbsenceTests.healthState(count))
        }

        init(_ healthState: HealthState) {
            self.healthState = healthState
            self.healthState.beginProbing(interval: .seconds(60), at: .zero, using: &random)
        }

        mutating func run(for duration: Duration, reply: (String, Duration) -> ProbeResult) {
            let end = now + duration
            while now < end {
                _ = healthState.completedRound(at: now)
                switch healthState.nextProbe(at: now) {
                case .run(let handle):
                    healthState.receive(reply(handle, now), ofVolumeHandle: handle, at: now)
                    for pendingReport in healthState.reportAll(at: now) {
                        reported.append((now, pendingReport.state.isClear))
                    }
                case .wait(let due): now = min(end, due ?? end)
                }
            }
        }
    }

    @Test func `a suspicion ends when the claims of volumes that were probed are gone`() {
        var world = GetWorld(4)
        world.run(for: .seconds(200)) { _, _ in .notFound }
        #expect(world.healthState.absenceSuspicion != nil)
        for number in 0..<4 { world.healthState.removeClaim(Claim.named("c\(number)").key, at: world.now) }
        world.run(for: .seconds(300)) { _, _ in .notFound }
        #expect(world.healthState.absenceSuspicion == nil)
    }

    @Test func `without volumes every interval is complete when it ends`() {
        var healthState = Self.healthState(0)
        var random = SeededGenerator(seed: 7)
        healthState.beginProbing(interval: .seconds(60), at: .zero, using: &random)
        var now = Duration.zero
        var ends: [Duration] = []
        while ends.count < 3 {
            if healthState.completedRound(at: now) != nil { ends.append(now) }
            guard case .wait(let due?) = healthState.nextProbe(at: now), due > now else {
                Issue.record("nothing is due after \(now)")
                return
            }
            now = due
        }
        #expect(ends == [.seconds(60), .seconds(120), .seconds(180)])
    }

    @Test func `an interval with an absence that a second call refutes is complete for all volumes`() {
        var healthState = Self.healthState(20)
        var random = SeededGenerator(seed: 7)
        healthState.beginProbing(interval: .seconds(60), at: .zero, using: &random)
        let end = Duration.seconds(660)
        var now = Duration.zero
        var (rounds, calls) = (0, 0)
        while now < end {
            if healthState.completedRound(at: now) != nil { rounds += 1 }
            switch healthState.nextProbe(at: now) {
            case .run(let handle):
                if handle == "h0" { calls += 1 }
                let isFound = handle != "h0" || calls.isMultiple(of: 2)
                let result = isFound ? ProbeResult.report(.healthy(handle)) : .notFound
                healthState.receive(result, ofVolumeHandle: handle, at: now)
            case .wait(let due): now = min(end, due ?? end)
            }
        }
        #expect(calls >= 20)
        #expect(rounds >= 9)
        #expect(healthState.reportAll(at: now).isEmpty)
    }

    /// A node selector that names a zone counts as one of another node.
    @Test(arguments: [true, false])
    func `a driver that loses all volumes of a zone is not taken for one that knows only its node's`(hasList: Bool) {
        var healthState = HealthState()
        for number in 0..<50 {
            let claim = Claim.named("c\(number)")
            var volume = MonitoredVolume.of(claim, handle: "h\(number)")
            volume.isOfOtherNode = true
            healthState.apply(volume, at: .zero)
            healthState.apply(claim, volumeName: volume.name, healthStatus: [], at: .zero)
        }
        if hasList {
            healthState.sweep(Self.healthy(0..<50), Self.list, at: .zero)
            healthState.sweep([], Self.list, at: .seconds(300))
            #expect(healthState.absenceSuspicion?.missing == 50)
            healthState.sweep([], Self.list, at: .seconds(900))
            #expect(healthState.reportAll(at: .seconds(900)).count == 50)
        } else {
            var world = GetWorld(healthState)
            world.run(for: .seconds(120)) { handle, _ in .report(.healthy(handle)) }
            world.run(for: .seconds(180)) { _, _ in .notFound }
            #expect(world.healthState.absenceSuspicion?.missing == 50)
            world.run(for: .seconds(700)) { _, _ in .notFound }
            #expect(world.reported.count == 50)
        }
    }

    /// csi-unity and csi-powerstore return NOT_FOUND while the array's management interface restarts.
    @Test(arguments: [2, 3, 10, 50, 1000])
    func `nothing is reported when no volume is found for three minutes`(count: Int) {
        var world = GetWorld(count)
        world.run(for: .seconds(120)) { handle, _ in .report(.healthy(handle)) }
        world.run(for: .seconds(180)) { _, _ in .notFound }
        #expect(world.reported.isEmpty)
        #expect(world.healthState.absenceSuspicion != nil)
        world.run(for: .seconds(300)) { handle, _ in .report(.healthy(handle)) }
        #expect(world.reported.isEmpty)
        #expect(world.healthState.absenceSuspicion == nil)
    }

    @Test(arguments: [10, 50, 1000])
    func `when nearly all volumes are missing, they are reported only after the hold`(count: Int) {
        var world = GetWorld(count)
        let found: Set = ["h3", "h4"]
        world.run(for: .seconds(120)) { handle, _ in .report(.healthy(handle)) }
        world.run(for: .seconds(500)) { handle, _ in found.contains(handle) ? .report(.healthy(handle)) : .notFound }
        #expect(world.reported.isEmpty)
        world.run(for: .seconds(300)) { handle, _ in found.contains(handle) ? .report(.healthy(handle)) : .notFound }
        #expect(world.reported.count == count - 2)
    }

    @Test(arguments: [1, 2, 3, 50, 1000])
    func `one deleted volume is reported within seconds of the first NOT_FOUND`(count: Int) {
        var world = GetWorld(count)
        world.run(for: .seconds(120)) { handle, _ in .report(.healthy(handle)) }
        var first: Duration?
        world.run(for: .seconds(120)) { handle, now in
            guard handle == "h0" else { return .report(.healthy(handle)) }
            first = first ?? now
            return .notFound
        }
        #expect(world.reported.count == 1)
        let delay = world.reported[0].at - (first ?? .zero)
        #expect(delay <= .seconds(6), "\(delay)")
    }

    @Test func `a few deleted volumes are reported after one more interval`() {
        var world = GetWorld(50)
        let gone: Set = ["h1", "h2", "h3"]
        world.run(for: .seconds(120)) { handle, _ in .report(.healthy(handle)) }
        world.run(for: .seconds(190)) { handle, _ in gone.contains(handle) ? .notFound : .report(.healthy(handle)) }
        #expect(world.reported.count == 3)
    }

    // MARK: The limits

    /// In any order of found, missing and confirmed volumes: of the volumes that are missing for less than the hold, at
    /// most max(5, 5 %) are reported within any period of that length, and never all of two or more.
    @Test(arguments: 0..<400 as Range<UInt64>)
    func `no sequence reports more than the limit within the hold`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let hold = Duration.seconds(600)
        let used = [1, 2, 3, 6, 20, 200].randomElement(using: &random) ?? 2
        var absences = AbsenceGuard<Int>(limits: AbsenceLimits(hold: hold))
        var now = Duration.zero
        var missingSince: [Int: Duration] = [:]
        var early: [(at: Duration, key: Int)] = []
        var outageLeft = 0
        for _ in 0..<2000 {
            now += .milliseconds(Int.random(in: 0...3000, using: &random))
            let key = Int.random(in: 0..<used, using: &random)
            if outageLeft == 0, Int.random(in: 0..<100, using: &random) == 0 {
                outageLeft = Int.random(in: 0..<(used * 4), using: &random)
            }
            if outageLeft > 0 { outageLeft -= 1 }
            let isMissing = outageLeft > 0 || Int.random(in: 0..<20, using: &random) == 0
            if isMissing {
                if missingSince[key] == nil { missingSince[key] = now }
                absences.notFound(key, since: now, at: now, awaitsCall: Bool.random(using: &random))
                let settling = Duration.seconds([0, 60].randomElement(using: &random) ?? 0)
                if absences.shouldReport(key, used: used, settling: settling, at: now),
                    now - (missingSince[key] ?? now) < hold
                {
                    early.append((now, key))
                    early.removeAll { now - $0.at >= hold }
                    #expect(early.count <= max(5, used * 5 / 100))
                    let alive = (0..<used).contains { missingSince[$0] == nil }
                    #expect(early.count < 2 || alive)
                }
            } else {
                missingSince[key] = nil
                absences.wasFound(key)
            }
            absences.review(used: used, at: now)
        }
    }
}
