// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Detects many events within a short time, for which the log shows one line.
///
/// A burst begins when more than ``threshold`` events are recorded within ``window``. It ends when no event is recorded
/// for ``window``, but at the latest ``limit`` after its first event; later events may begin another one.
package struct EventBurst: Sendable {
    /// What the line shows.
    package struct Summary: Sendable, Equatable {
        package var events: Int
        /// The first five claims on which events were recorded, each once.
        package var claims: [ClaimKey]
        /// The time from the first event to the last.
        package var duration: Duration

        package init(events: Int, claims: [ClaimKey], duration: Duration) {
            (self.events, self.claims, self.duration) = (events, claims, duration)
        }
    }

    package static let threshold = 20
    package static let window = Duration.seconds(10)
    package static let limit = Duration.seconds(60)
    private static let namedClaims = 5

    private struct Burst {
        var began: Duration
        var last: Duration
        var events = 0
        var claims: [ClaimKey] = []

        mutating func add(_ claim: ClaimKey, at now: Duration) {
            events += 1
            last = now
            if claims.count < EventBurst.namedClaims, !claims.contains(claim) { claims.append(claim) }
        }
    }

    /// The events of the last ``window``, the oldest first; empty during a burst.
    private var recent: [(claim: ClaimKey, time: Duration)] = []
    private var burst: Burst?

    package init() {}

    /// When the burst ends if no other event is recorded; nil while there is no burst.
    package var end: Duration? {
        burst.map { min($0.last + Self.window, $0.began + Self.limit) }
    }

    /// An event was recorded on this claim.
    ///
    /// - Returns: whether a burst begins.
    package mutating func recorded(_ claim: ClaimKey, at now: Duration) -> Bool {
        guard burst == nil else {
            burst?.add(claim, at: now)
            return false
        }
        recent.removeAll { $0.time <= now - Self.window }
        recent.append((claim, now))
        guard recent.count > Self.threshold else { return false }
        var new = Burst(began: recent[0].time, last: now)
        for event in recent { new.add(event.claim, at: event.time) }
        burst = new
        recent = []
        return true
    }

    /// Ends the burst and returns its summary; nil when there is no burst.
    package mutating func finish() -> Summary? {
        defer { burst = nil }
        return burst.map { Summary(events: $0.events, claims: $0.claims, duration: $0.last - $0.began) }
    }
}
