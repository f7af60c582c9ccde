// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides when unhealthy volumes are one fact about their driver: an outage.
///
/// The threshold is ``OutageLimits/volumes``, or ``OutageLimits/percent`` of the driver's volumes that claims use,
/// whichever is more. The window is a sweep, and what follows until the next one, where volumes are listed; an
/// incomplete list and the next one are one sweep. Where volumes are probed one by one, it is the last interval.
///
/// | Phase | Observation | Next phase |
/// |---|---|---|
/// | none | more volumes than the threshold have turned unhealthy within the window, and still are | beginning |
/// | none, an earlier leader reported an outage | after the first sweep of the term, more are unhealthy than the threshold | lasting |
/// | none, an earlier leader reported an outage | after the first sweep of the term, the others | ended |
/// | beginning | the sweep has ended, or ``OutageLimits/settling`` has passed: more are unhealthy than the threshold | lasting, reported |
/// | beginning | the same: not more | none |
/// | lasting | a review finds more unhealthy than the threshold | lasting |
/// | lasting | a review finds as many as the threshold, or fewer | ended |
///
/// - In a new term every volume that is found unhealthy has turned unhealthy, so the first sweep of a new leader finds
///   the outage again.
/// - There is no further hysteresis. To last, an outage needs a number of unhealthy volumes; to begin again, it needs as
///   many new ones within one window. A number that varies around the threshold ends an outage once.
///
/// Pure: time is passed in. It holds at most one volume more than the threshold.
struct OutageDetector<Key: Hashable & Sendable>: Sendable {
    enum Phase: Sendable, Equatable {
        case none
        /// The threshold was crossed at this time.
        case beginning(crossed: Duration)
        case lasting
    }

    private(set) var phase = Phase.none
    /// The volumes that have turned unhealthy within the window, and when.
    private var turned: [Key: Duration] = [:]

    /// When the first volume of the window turned unhealthy.
    var firstTurned: Duration? { turned.values.min() }

    /// A volume has turned unhealthy.
    ///
    /// - Parameters:
    ///   - threshold: ``OutageLimits/threshold(of:)``
    ///   - isCounted: whether a volume that turned unhealthy at a time is within the window, and still unhealthy. Called
    ///     only when more have turned unhealthy than the threshold.
    /// - Returns: whether the outage begins now.
    mutating func turnedUnhealthy(
        _ key: Key,
        threshold: Int,
        at now: Duration,
        isCounted: (Key, Duration) -> Bool
    ) -> Bool {
        guard phase == .none else { return false }
        turned[key] = now
        guard turned.count > threshold else { return false }
        turned = turned.filter { isCounted($0.key, $0.value) }
        guard turned.count > threshold else { return false }
        phase = .beginning(crossed: now)
        return true
    }

    /// A window begins.
    mutating func beginWindow() {
        if phase == .none { turned = [:] }
    }

    /// A review has found more unhealthy volumes than the threshold.
    mutating func confirm() {
        phase = .lasting
        turned = [:]
    }

    /// A review has found no more unhealthy volumes than the threshold.
    mutating func end() {
        phase = .none
        turned = [:]
    }
}

/// When unhealthy volumes are an outage of their driver.
package struct OutageLimits: Sendable, Hashable {
    /// How many volumes may turn unhealthy together, however few the driver has.
    package var volumes: Int
    /// How many percent of the volumes may turn unhealthy together; 100: there is never an outage.
    package var percent: Int
    /// The longest time between the first transitions of one outage: the interval in which all volumes are probed.
    package var span: Duration

    /// How long an outage that begins may wait for the end of the sweep, so that the first event has the whole numbers.
    static var settling: Duration { .seconds(10) }
    /// How long events on claims wait at most for the event on the outage.
    static var precedence: Duration { .seconds(30) }
    /// The time between reviews of a lasting outage, where no list ends before.
    static var reviewInterval: Duration { .seconds(60) }

    /// By default 5 volumes or 5 percent, whichever is more.
    package init(volumes: Int = 5, percent: Int = 5, span: Duration = .seconds(300)) {
        self.volumes = volumes
        self.percent = percent
        self.span = span
    }

    /// How many of a driver's volumes may turn unhealthy together; more are an outage.
    package func threshold(of volumes: Int) -> Int {
        max(self.volumes, volumes * percent / 100)
    }

    /// When an outage began: the first transition after which ``span`` is not over when the threshold is crossed. Up to
    /// the threshold, volumes that turned unhealthy long before do not make it older.
    ///
    /// - Parameter times: when each unhealthy volume turned unhealthy; not empty.
    func beginning(of times: [Duration], threshold: Int) -> Duration? {
        let times = times.sorted()
        guard let last = times.last else { return nil }
        let crossed = threshold < times.count ? times[threshold] : last
        return times.first { $0 >= crossed - span }
    }
}
