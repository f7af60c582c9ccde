// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// Watches of every fate leave nothing behind: no file descriptor of the process.
///
/// In a process of its own, because the descriptors are everybody's. Each watch has a TLS connection of its own, which
/// takes the simulated server its time; HTTPTransport's test of 10,000 has the same streams without TLS.
@Suite(.timeLimit(.minutes(30))) struct LeakTests {
    @Test func `watches leave nothing`() async {
        await runExitTest {
            await #expect(processExitsWith: .success) {
                // What is opened once and kept: the server's event loops.
                try await Watches.run(waves: 1)
                let before = try openDescriptors()
                try await Watches.run(waves: 25)
                try await until { try openDescriptors() <= before }
            }
        }
    }
}

/// Many watches at once, again and again.
private enum Watches {
    /// The label that a watch selects by, so that the server knows what is to become of it.
    private enum Fate: String, CaseIterable {
        case ended, cut, cutWithinAFrame, failed, nonsense, droppedAfterAChange, cancelled
        case dropped, refused, cancelledBeforehand

        init?(_ watch: WatchHandle) {
            guard let name = watch.request.query["labelSelector"]?.split(separator: "=").last else { return nil }
            self.init(rawValue: String(name))
        }

        /// Whether the watch stays open until the server does something with it.
        var isOpened: Bool { self != .dropped && self != .refused && self != .cancelledBeforehand }
    }

    private static let wave = Fate.allCases.flatMap { Array(repeating: $0, count: 4) }

    static func run(waves: Int) async throws {
        try await TestCluster.with { cluster in
            let refusal = StatusError(code: 403, reason: "Forbidden", message: "no")
            cluster.server.intercept { request in
                request.query["labelSelector"] == "fate=refused" ? .fail(refusal, headers: [:]) : nil
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
                // What was dropped is given up when the loop's thread comes to it.
                await until { cluster.server.watches.isEmpty }
            }
            await cluster.client.shutdown()
        }
    }

    /// Why a watch ended; nil: in good order, or because it was dropped.
    private static func end(of fate: Fate, _ cluster: TestCluster) async -> KubernetesError.Code? {
        if fate == .cancelledBeforehand { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
        do throws(KubernetesError) {
            let selection = Selection(labelSelector: "fate=\(fate.rawValue)")
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

/// Returns when it is so; the suite's time limit is for when it never is. Without a sleep, whose timer would be an open
/// descriptor.
private func until(_ condition: () throws -> Bool) async rethrows {
    while try !condition() { await Task.yield() }
}

/// How many file descriptors this process has.
private func openDescriptors() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}
