// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Delays the events of an outage, so that thousands of nodes do not record theirs in the same second.
///
/// | Transitions that are due | Decision |
/// |---|---|
/// | up to ``threshold`` | record at once |
/// | more, for the first time in ``calm`` | all wait for one random delay |
/// | more, after that delay | record, at the rate of the API client |
///
/// Pure: time and randomness are passed in.
struct EventHold: Sendable {
    static let threshold = 5
    /// Transitions that have been due for longer wait for another reason, and do not count.
    static let window = Duration.seconds(60)
    static let maximumDelay = Duration.seconds(60)
    /// The minimum time from one delay to the next, so that the events of one outage wait once.
    static let calm = Duration.seconds(300)

    private var end: Duration?

    /// Until when events wait; nil: they do not.
    ///
    /// - Parameter due: how many transitions are due for their first attempt.
    mutating func until(due: Int, at now: Duration, using random: inout SeededRandom) -> Duration? {
        if let end, now < end { return end }
        guard due > Self.threshold, end.map({ now - $0 >= Self.calm }) ?? true else { return nil }
        let end = now + Self.maximumDelay * Double.random(in: 0..<1, using: &random)
        self.end = end
        return end > now ? end : nil
    }
}
