// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
package import KubernetesAPI
package import KubernetesClient
package import Logging

/// Reads back the events that earlier processes recorded (rule 9).
///
/// RBAC: `list` on `events`.
package struct EventHistory: Sendable {
    private let kubernetes: KubernetesClient
    private let time: ElapsedTime
    private let logger: Logger

    package init(kubernetes: KubernetesClient, time: ElapsedTime, logger: Logger) {
        self.kubernetes = kubernetes
        self.time = time
        self.logger = logger
    }

    /// Reduces the events of a component on objects of a kind, one reason after the other. Every request is bounded by
    /// the client's request timeout: the API server evaluates a field selector on every event of the cluster, which in
    /// a large one may never finish in time (https://github.com/kubernetes/kubernetes/issues/81906).
    ///
    /// - Throws: ``KubernetesError``.
    package func read<History>(
        kind: String,
        component: String,
        reasons: [String],
        into initial: History,
        add: (inout History, Event) -> Void
    ) async throws -> History {
        var history = initial
        for reason in reasons {
            let selector = "involvedObject.kind=\(kind),source=\(component),reason=\(reason)"
            var pages = kubernetes.list(Event.self, Selection(fieldSelector: selector)).makeAsyncIterator()
            while var page = try await pages.next() {
                while let event = try page.next() { add(&history, event) }
            }
        }
        return history
    }

    /// Retries `read` as often as ``ReadBackLimits`` allows; nil when no attempt succeeded. While the API server cannot
    /// be reached, or responds with 429, attempts do not count: nothing could be recorded either.
    ///
    /// - Throws: only `CancellationError`.
    package func withinLimits<History>(_ read: () async throws -> History) async throws -> History? {
        var limits = ReadBackLimits()
        var level = Logger.Level.warning
        while true {
            let pause: Duration?
            do {
                return try await read()
            } catch {
                try Task.checkCancellation()
                logger.log(level: level, "Failed to read back events, retrying", metadata: ["err": "\(error)"])
                level = .debug
                pause = limits.pause(after: error as? KubernetesError, at: time.now)
            }
            guard let pause else { return nil }
            try await time.sleep(for: pause)
        }
    }
}

/// How often reading back is retried before the monitor continues without (rule 9): three attempts, none of which
/// begins a minute after the first has failed.
package struct ReadBackLimits: Sendable {
    /// The time between later attempts, which the monitor makes while it runs.
    package static let laterInterval = Duration.seconds(300)
    private static let total = Duration.seconds(60)
    /// The pause after each attempt that counts. An API server that has just started may briefly forbid what RBAC
    /// allows.
    private static let pauses: [Duration] = [.seconds(5), .seconds(15)]

    private var attempts = 0
    private var firstFailure: Duration?
    private var unreachable = 0

    package init() {}

    /// How long to wait before the next attempt; nil: there is none.
    package mutating func pause(after error: KubernetesError?, at now: Duration) -> Duration? {
        if let error, [.transport, .tooManyRequests].contains(error.code) {
            unreachable += 1
            return max(ReportTiming.fields.retries.delay(afterFailures: unreachable), error.retryAfter ?? .zero)
        }
        let first = firstFailure ?? now
        firstFailure = first
        attempts += 1
        guard attempts <= Self.pauses.count else { return nil }
        let pause = Self.pauses[attempts - 1]
        return now + pause - first < Self.total ? pause : nil
    }
}
