// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides when unhealthy volumes are one fact about their driver: an outage.
///
/// The threshold is ``OutageLimits/minimumVolumes``, or ``OutageLimits/percent`` of the driver's volumes that claims
/// use, whichever is more. With lists, a window lasts from the beginning of one list to the beginning of the first list
/// after it has completed. Otherwise it is the last interval.
///
/// | Phase | Observation | Next phase |
/// |---|---|---|
/// | none | more volumes than the threshold have turned unhealthy within the window, and still are | beginning |
/// | beginning | the sweep has ended, or ``OutageLimits/settlingTime`` has passed: more are unhealthy than the threshold | lasting, reported |
/// | beginning | the same: not more | none |
/// | lasting | a review finds more unhealthy than the threshold | lasting |
/// | lasting | a review finds as many as the threshold, or fewer | ended |
///
/// A volume that an earlier leader reported as unhealthy has not turned unhealthy in this term. Outages among these are
/// found after the first sweep (`HealthState+Outage.swift`).
///
/// There is no further hysteresis. To last, an outage needs a number of unhealthy volumes; to begin again, it needs as
/// many new ones within one window. A number that varies around the threshold ends an outage once.
///
/// Pure: time is passed in. It holds at most one volume more than the largest threshold passed.
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
    /// The smallest threshold, however few volumes the driver has.
    package var minimumVolumes: Int
    /// How many percent of the volumes may turn unhealthy together; 100: there is never an outage.
    package var percent: Int
    /// The interval in which all volumes are listed, for outages that are found by the times of earlier reports. Where
    /// volumes are probed one by one, it is the interval that is achieved.
    package var window: Duration

    /// How long an outage that begins may wait for the end of the sweep, so that the first event has the whole numbers.
    static var settlingTime: Duration { .seconds(10) }
    /// How long events on claims wait for the request that records the event on the outage: the namespace of that event
    /// may have an admission webhook that hangs, which concerns no other namespace.
    static var maximumRequestDelay: Duration { .seconds(2) }
    /// How long events on claims wait at most, from the crossing of the threshold.
    static var maximumEventDelay: Duration { settlingTime + maximumRequestDelay }
    /// The time between reviews of a lasting outage, where no list ends before.
    static var reviewInterval: Duration { .seconds(60) }

    /// By default 5 volumes or 5 percent, whichever is more.
    package init(minimumVolumes: Int = 5, percent: Int = 5, window: Duration = .seconds(300)) {
        self.minimumVolumes = minimumVolumes
        self.percent = percent
        self.window = window
    }

    /// How many of a driver's volumes may turn unhealthy together; more are an outage.
    package func threshold(of volumes: Int) -> Int {
        max(minimumVolumes, volumes * percent / 100)
    }

    /// When an outage of these volumes began: with the first transition of the first ``window`` that has more than
    /// `threshold`; nil: they turned unhealthy one after the other, which is no outage.
    ///
    /// - Parameter times: when each unhealthy volume turned unhealthy.
    func beginning(of times: [Duration], threshold: Int) -> Duration? {
        guard threshold < times.count else { return nil }
        let times = times.sorted()
        return zip(times, times[threshold...]).first { $1 - $0 < window }?.0
    }
}
