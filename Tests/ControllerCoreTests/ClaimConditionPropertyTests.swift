// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

/// After any history of changes, a few writes bring the claim's status to what it should show.
@Suite struct ClaimConditionPropertyTests {
    /// A claim on an API server that keeps or drops `status.healthStatus`.
    private struct Server {
        struct Condition: Equatable {
            var isHealthy: Bool
            var reason: String
            var message: String
        }

        var keepsField: Bool
        var field: [VolumeHealthCondition] = []
        var condition: Condition?
        var version = 1
        var writes = 0

        var shown: ShownCondition? {
            condition.map {
                ShownCondition(
                    status: $0.isHealthy ? "True" : "False",
                    reason: $0.reason,
                    message: $0.message,
                    transition: 0
                )
            }
        }

        mutating func write(_ change: StatusChange.Field) -> Bool {
            writes += 1
            version += 1
            if keepsField || change.conditions.isEmpty { field = change.conditions }
            return keepsField
        }

        mutating func write(_ change: StatusChange.Condition) {
            writes += 1
            version += 1
            switch change {
            case .remove: condition = nil
            case .set(let new, _):
                condition = Condition(isHealthy: new.isHealthy, reason: new.reason, message: new.message)
            }
        }
    }

    private static let claim = Claim.named("claim")
    private static let states: [[VolumeHealthCondition]] = [
        [], [], [VolumeHealthCondition(abnormalMessage: "one")], [VolumeHealthCondition(abnormalMessage: "two")],
        [VolumeHealthCondition(status: .inaccessible, reason: "NoPath", message: "")],
        [
            VolumeHealthCondition(status: .dataLoss, reason: "BadBlocks", message: "7"),
            VolumeHealthCondition(status: .degraded, reason: "Slow", message: "m"),
        ],
    ]

    @Test(arguments: 0..<60) func `the claim's status converges to the volume's health`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let policy = ClaimConditionPolicy.allCases[Int(seed) % 3]
        var server = Server(keepsField: Bool.random(using: &random))
        var healthState = HealthState(configuration: .init(claimConditions: policy))
        healthState.bind(Self.claim, handle: "h")
        var now = Duration.zero
        var state: [VolumeHealthCondition] = []

        for _ in 0..<60 {
            now += .seconds(700)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                // Another client or an administrator changes the condition.
                server.condition = .init(isHealthy: .random(using: &random), reason: "Other", message: "x")
                show(server, to: &healthState, at: now)
            case 1:
                server.condition = nil
                show(server, to: &healthState, at: now)
            case 2:
                server.keepsField.toggle()
                if !server.keepsField { server.field = [] }
                show(server, to: &healthState, at: now)
                healthState.setKeepsHealthStatus(server.keepsField, at: now)
            case 3:
                // A new leader starts from what the claim shows.
                healthState = HealthState(configuration: .init(claimConditions: policy))
                healthState.bind(Self.claim, handle: "h")
                show(server, to: &healthState, at: now)
            default:
                state = try #require(Self.states.randomElement(using: &random))
            }
            healthState.sweep([VolumeHealthReport(volumeHandle: "h", conditions: state)], at: now)
            server.writes = 0
            complete(&healthState, &server, at: now)
            #expect(server.writes <= 4, "seed \(seed)")
            requireShown(VolumeState(state), by: server, healthState, "seed \(seed), \(policy), at \(now)")
        }
    }

    private func show(_ server: Server, to healthState: inout HealthState, at now: Duration) {
        var claim = Self.claim
        claim.resourceVersion = "\(server.version)"
        healthState.apply(
            claim,
            volumeName: "pv-claim",
            healthStatus: server.field,
            condition: server.shown,
            at: now
        )
    }

    private func complete(_ healthState: inout HealthState, _ server: inout Server, at now: Duration) {
        while server.writes < 20, case .run(let pendingReport) = healthState.nextStatus(at: now) {
            if let field = healthState.statusChange(for: pendingReport)?.field {
                if field.isUncertain { healthState.setKeepsHealthStatus(server.keepsField, at: now) }
                if !field.isUncertain || server.keepsField {
                    let isKept = server.write(field)
                    if !field.conditions.isEmpty { healthState.setKeepsHealthStatus(isKept, at: now) }
                    show(server, to: &healthState, at: now)
                }
            }
            if let condition = healthState.statusChange(for: pendingReport)?.condition {
                server.write(condition)
                show(server, to: &healthState, at: now)
            }
            healthState.complete(status: pendingReport, .reported, at: now)
        }
    }

    private func requireShown(
        _ state: VolumeState,
        by server: Server,
        _ healthState: HealthState,
        _ comment: Comment
    ) {
        let isUnhealthy = server.condition.map { !$0.isHealthy } ?? false
        let conditionShowsState = server.shown?.match(state) == .all
        switch (healthState.configuration.claimConditions, healthState.keepsHealthStatus) {
        case (.never, false): #expect(!isUnhealthy, comment)
        case (.never, _), (.auto, true):
            #expect(VolumeState(server.field) == state, comment)
            #expect(!isUnhealthy, comment)
        case (.auto, nil):
            #expect(state.isClear ? !isUnhealthy : VolumeState(server.field) == state || conditionShowsState, comment)
        case (.auto, false): #expect(state.isClear ? !isUnhealthy : conditionShowsState, comment)
        case (.always, let isKept):
            #expect(state.isClear ? !isUnhealthy : conditionShowsState, comment)
            if isKept != false || server.keepsField {
                #expect(conditionShowsState || VolumeState(server.field) == state, comment)
            }
        }
    }

    @Test func `a new message alone is not a new state`() {
        let shown = ShownCondition(status: "False", reason: "Slow", message: "Degraded (Slow): a", transition: 0)
        func match(_ reason: String, _ message: String) -> ShownCondition.Match {
            shown.match(VolumeState([VolumeHealthCondition(status: .degraded, reason: reason, message: message)]))
        }
        #expect(match("Slow", "a") == .all)
        #expect(match("Slow", "b") == .otherMessage)
        #expect(match("Gone", "a") == .otherState)
        #expect(shown.match(.clear) == .otherState)
    }
}
