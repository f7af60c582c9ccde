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
    /// be reached, or responds to every request with 429, attempts do not count: nothing could be recorded either.
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
                let error = error as? KubernetesError
                if ReadBackLimits.mayConcernAllRequests(error) {
                    let isServing = await isServing()
                    try Task.checkCancellation()
                    pause = limits.pause(afterRefusal: error, isServing: isServing, at: time.now)
                } else {
                    pause = limits.pause(at: time.now)
                }
            }
            guard let pause else { return nil }
            try await time.sleep(for: pause)
        }
    }

    /// Retries `read` every ``ReadBackLimits/laterInterval`` until it succeeds, after ``withinLimits(_:)`` gave up.
    ///
    /// - Throws: only `CancellationError`.
    package func later<History>(_ read: () async throws -> History) async throws -> History {
        while true {
            try await time.sleep(for: ReadBackLimits.laterInterval)
            do {
                return try await read()
            } catch {
                try Task.checkCancellation()
                logger.debug("Failed to read back events, retrying", metadata: ["err": "\(error)"])
            }
        }
    }

    /// Whether the API server responds to another request, the smallest one, which needs no RBAC rule of ours.
    private func isServing() async -> Bool {
        do {
            _ = try await kubernetes.serverVersion()
            return true
        } catch {
            // A refusal is a response, too, and so is what a proxy puts in the place of the version.
            return [.forbidden, .notFound, .badRequest, .decoding].contains(error.code)
        }
    }
}

/// How often reading back is retried before the monitor continues without (rule 9): three attempts, none of which
/// begins a minute after the first has failed. Attempts that fail as all requests may do are repeated for longer.
package struct ReadBackLimits: Sendable {
    /// The time between later attempts, which the monitor makes while it runs.
    package static let laterInterval = Duration.seconds(300)
    private static let total = Duration.seconds(60)
    /// The pause after each attempt that counts. An API server that has just started may briefly forbid what RBAC
    /// allows.
    private static let pauses: [Duration] = [.seconds(5), .seconds(15)]

    private var attempts = 0
    private var firstFailure: Duration?
    private var refusals = 0
    /// Since when the API server refuses these lists and serves other requests.
    private var refusedAloneSince: Duration?

    package init() {}

    /// Whether other requests may fail in the same way: the connection failed, or the API server is overloaded.
    package static func mayConcernAllRequests(_ error: KubernetesError?) -> Bool {
        error.map { [.transport, .tooManyRequests].contains($0.code) } ?? false
    }

    /// How long to wait after an attempt for which ``mayConcernAllRequests(_:)`` is true; nil: there is no other one.
    ///
    /// A load balancer may reset a response that takes long, and priority and fairness may reject expensive lists with
    /// 429: that ends after a minute during which the API server has served another request after each attempt.
    package mutating func pause(afterRefusal error: KubernetesError?, isServing: Bool, at now: Duration) -> Duration? {
        refusals += 1
        let since = isServing ? refusedAloneSince ?? now : nil
        refusedAloneSince = since
        if let since, now - since >= Self.total { return nil }
        return max(ReportTiming.fields.retries.delay(afterFailures: refusals), error?.retryAfter ?? .zero)
    }

    /// How long to wait after any other failed attempt; nil: there is no other one.
    package mutating func pause(at now: Duration) -> Duration? {
        let first = firstFailure ?? now
        firstFailure = first
        attempts += 1
        guard attempts <= Self.pauses.count else { return nil }
        let pause = Self.pauses[attempts - 1]
        return now + pause - first < Self.total ? pause : nil
    }
}
