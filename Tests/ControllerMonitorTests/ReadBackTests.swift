// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import Testing

/// Rule 9, with the API server: what a new leader requests of events.
@Suite(.timeLimit(.minutes(50))) struct ReadBackTests {
    enum Refusal: CaseIterable {
        /// API Priority and Fairness may reject expensive lists alone.
        case tooManyRequests
        /// A load balancer may reset a response that takes long.
        case reset

        var interception: Interception {
            switch self {
            case .tooManyRequests:
                .fail(StatusError(code: 429, reason: "TooManyRequests", message: "Too many requests"))
            case .reset: .loseResponse
            }
        }
    }

    /// While the API server serves other requests, these failures do not delay the reports for longer than a minute.
    @Test(.tags(.rule9), arguments: Refusal.allCases)
    func `the monitor reports although the list of events always fails`(refusal: Refusal) async throws {
        try await RestoreTests.run(.abnormal("broken")) { scene in
            scene.server.intercept { request in
                request.verb == .list && request.resource == "events" ? refusal.interception : nil
            }
            try await scene.monitor { _ in
                try await scene.advance { try !scene.events().isEmpty || Self.lists(scene) > 30 }
                try #require(try scene.events().count == 1)
                let line = "Failed to read back events, continuing"
                #expect(scene.log.entries.contains { "\($0.message)".hasPrefix(line) })
                // The later attempts fail too.
                scene.driver.set(.healthy, ofVolume: RestoreTests.volume.handle)
                await scene.sweepAgain()
                _ = await scene.write(2)
            }
            #expect(scene.server.journal.records.contains { $0.request.path == "/version" })
            #expect(try scene.events().map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(try scene.events().map { $0["count"] } == [1, 1])
        }
    }

    /// The count that the event has is known from reading back, so nothing else is requested.
    @Test(.tags(.rule8, .rule9)) func `a new leader refreshes a lasting condition with one PATCH`() async throws {
        try await RestoreTests.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            let earlier = scene.server.journal.records.count
            try await scene.monitor { _ in
                await scene.driver.journal.wait(for: "ListVolumes", count: 2)
                while Self.requests(scene, after: earlier).isEmpty { await scene.sweepAgain() }
                _ = await scene.write(1, .patch)
            }
            // Each request raises the count once. The journal may show the last one after the event does.
            while try scene.events().map({ $0["count"]?.integer })
                != [1 + Int64(Self.requests(scene, after: earlier).count)]
            {
                await pollingPause()
            }
            let requests = Self.requests(scene, after: earlier)
            #expect(requests.allSatisfy { $0.request.verb == .patch && $0.code == 200 })
        }
    }

    private static func lists(_ scene: Scene) -> Int {
        scene.server.journal.records.count { $0.request.resource == "events" && $0.request.verb == .list }
    }

    /// The requests for single events.
    private static func requests(_ scene: Scene, after count: Int) -> [RequestRecord] {
        scene.server.journal.records.dropFirst(count).filter {
            $0.request.resource == "events" && $0.request.verb != .list
        }
    }
}
