// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// Watches leak no file descriptor, however they end.
///
/// Runs in its own process, because other tests open descriptors too. Each watch has its own TLS connection, which is
/// slow in the simulated server; HTTPTransport's test of 10,000 streams does the same without TLS.
@Suite(.timeLimit(.minutes(50))) struct LeakTests {
    @Test func `watches leak no handles and no file descriptors`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // The first run opens what stays open: the server's event loops.
                try await Watches.run(waves: 1)
                let before = try openDescriptors()
                try await Watches.run(waves: 25)
                try await until { try openDescriptors() <= before }
            }
        }
    }
}

/// Waves of concurrent watches.
private enum Watches {
    /// How a watch ends. The server reads it from the name that the watch selects.
    private enum Fate: String, CaseIterable {
        case ended, cut, cutWithinAFrame, failed, nonsense, droppedAfterAChange, cancelled
        case dropped, refused, cancelledBeforehand

        init?(_ watch: WatchHandle) {
            guard let name = watch.request.query["fieldSelector"]?.split(separator: "=").last else { return nil }
            self.init(rawValue: String(name))
        }

        /// Whether the watch stays open until the server ends it.
        var isOpened: Bool { self != .dropped && self != .refused && self != .cancelledBeforehand }
    }

    private static let wave = Fate.allCases.flatMap { Array(repeating: $0, count: 4) }

    static func run(waves: Int) async throws {
        try await TestCluster.with { cluster in
            let refusal = StatusError(code: 403, reason: "Forbidden", message: "no")
            cluster.server.intercept { request in
                request.query["fieldSelector"] == "metadata.name=refused" ? .fail(refusal, headers: [:]) : nil
            }
            for _ in 0..<waves {
                let watches = wave.map { fate in (fate, Task { await end(of: fate, cluster) }) }
                await until {
                    cluster.server.watches.count { Fate($0)?.isOpened == true } == wave.count { $0.isOpened }
                }
                for watch in cluster.server.watches {
                    switch Fate(watch) {
                    case .ended: watch.end()
                    case .cut: watch.cut()
                    case .cutWithinAFrame: watch.cut(afterBytes: 7)
                    case .failed: watch.fail(StatusError(code: 410, reason: "Expired", message: "too old"))
                    case .nonsense: watch.send([0xFF, 0xFF, 0xFF, 0xFF])
                    default: watch.sendBookmark()
                    }
                }
                for (fate, watch) in watches where fate == .cancelled { watch.cancel() }
                for (fate, watch) in watches { await check(fate, watch.value) }
                // The event loop closes dropped watches asynchronously.
                await until { cluster.server.watches.isEmpty }
            }
            await cluster.client.shutdown()
        }
    }

    /// The error of a watch; nil if the server ended it, or it was dropped.
    private static func end(of fate: Fate, _ cluster: TestCluster) async -> KubernetesError.Code? {
        if fate == .cancelledBeforehand { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
        do throws(KubernetesError) {
            let selection = Selection(fieldSelector: "metadata.name=\(fate.rawValue)")
            let watch = try await cluster.client.watch(PersistentVolume.self, selection, resourceVersion: "1")
            if fate == .dropped { return nil }
            var changes = watch.makeAsyncIterator()
            while try await changes.next() != nil {
                if fate == .droppedAfterAChange { return nil }
            }
            return nil
        } catch {
            return error.code
        }
    }

    private static func check(_ fate: Fate, _ code: KubernetesError.Code?) {
        let expected: KubernetesError.Code? =
            switch fate {
            case .ended, .dropped, .droppedAfterAChange: nil
            case .cut, .cutWithinAFrame: .transport
            case .failed: .expired
            case .nonsense: .decoding
            case .cancelled, .cancelledBeforehand: .cancelled
            case .refused: .forbidden
            }
        #expect(code == expected, "\(fate): \(String(describing: code))")
    }
}

/// Waits for a condition; the suite's time limit applies. It does not sleep, because a timer may need a descriptor.
private func until(_ condition: () throws -> Bool) async rethrows {
    while try !condition() { await Task.yield() }
}

/// The number of open file descriptors of this process.
private func openDescriptors() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}
