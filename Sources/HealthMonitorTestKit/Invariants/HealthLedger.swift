// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Checks the promises of a health monitor from outside: compares the true health of volumes with the reports, the
/// lease and the calls in the journals of the API server and the drivers.
///
/// - a: every condition that lasts is reported;
/// - b: nothing is reported twice, and there are no duplicate events;
/// - c: the end of a reported condition is reported, once;
/// - d: only the holder of the lease probes the driver;
/// - f: an error is never reported as health, and only what was true is reported.
///
/// The subject of a report is a claim, or a volume of a pod: of the latter nothing is true before the pod has started,
/// and nothing new after its end.
///
/// Promise e, that the steady state writes nothing, is for the caller to check by ``writes``. A value; its methods must
/// be called in the order of time.
package struct HealthLedger: Sendable {
    /// A broken promise.
    package struct Violation: Sendable, Hashable, CustomStringConvertible {
        package var promise: String
        package var description: String
    }

    /// A period in which a volume was in one state.
    struct Period: Sendable {
        /// The message of the subject's event; nil for a healthy volume.
        var text: String?
        var began: Duration
    }

    /// What events report on: a claim, or a volume of a pod.
    struct Subject: Sendable {
        var name: String
        var periods: [Period] = []
        /// When the pod ended; nil while it lives, and for a claim.
        var ended: Duration?
        /// How often each text was reported; nil stands for the recovery.
        var reports: [String?: Int] = [:]
        /// The text of the last report; nil before the first.
        var lastReported: String??
        /// Whether the API server lost the report of the condition, so that it shows nothing to recover from.
        var isReportLost = false
        /// When the condition was reported whose recovery was not reported yet.
        var abnormalReportedAt: Duration?
    }

    struct Event: Sendable {
        var kind: String
        var uid: String
        var reason: String
        var message: String
        var count: Int64
    }

    /// By the claim's uid, or by the pod's uid and the volume's name (``subject(podUID:volume:)``).
    var subjects: [String: Subject] = [:]
    /// By namespace and name.
    var events: [String: Event] = [:]
    /// The holder of the lease, by its last write; nil when it was released.
    package internal(set) var holder: String?
    /// Until then the leader may not be the holder of the lease.
    private var doubtfulUntil = Duration.zero
    /// The broken promises, in the order of time.
    package internal(set) var violations: [Violation] = []
    /// How many writes of events, other than those of leader election, and of the status of claims and pods the API
    /// server has stored.
    package internal(set) var writes = 0
    /// How many times an event was created or its count raised.
    package internal(set) var reports = 0
    /// Events with other reasons, such as NodeFailed, are ignored.
    static let reasons: Set = ["VolumeConditionAbnormal", "VolumeConditionNormal"]
    /// How often a lasting condition is reported again.
    let refreshInterval: Duration
    private let leaseDuration: Duration

    /// An empty ledger.
    ///
    /// - Parameters:
    ///   - refreshInterval: how often the count of an event may rise while its condition lasts.
    ///   - leaseDuration: of the monitors' lease.
    package init(refreshInterval: Duration = .seconds(1800), leaseDuration: Duration = .seconds(15)) {
        self.refreshInterval = refreshInterval
        self.leaseDuration = leaseDuration
    }

    /// Sets the true health of a claim's volume from now on.
    ///
    /// - Parameter text: the message of the claim's event; nil for a healthy volume.
    package mutating func setHealth(_ text: String?, claimUID: String, name: String, at now: Duration) {
        setHealth(text, ofSubject: claimUID, name: name, at: now)
    }

    mutating func setHealth(_ text: String?, ofSubject key: String, name: String, at now: Duration) {
        var subject = subjects[key] ?? Subject(name: name)
        if subject.periods.last?.text != text || subject.periods.isEmpty {
            subject.periods.append(Period(text: text, began: now))
        }
        subjects[key] = subject
    }

    /// Forgets a claim that was deleted or is no longer bound to its volume: nothing more must be reported on it.
    package mutating func forget(claimUID: String) {
        subjects[claimUID] = nil
    }

    package func contains(claimUID: String) -> Bool { subjects[claimUID] != nil }

    /// Records that the API server's objects were restored to what they were at the time of `backup`.
    ///
    /// Reports since then are lost and may come again. A monitor that starts afterwards cannot know of them, so a
    /// recovery from a lost report may be missing. The lease may be back with an earlier holder while another
    /// replica leads: until that replica notices, within the lease duration, both may probe the driver.
    package mutating func restore(to backup: HealthLedger, at now: Duration) {
        holder = backup.holder
        doubtfulUntil = now + leaseDuration
        events = backup.events
        for (key, subject) in subjects {
            var subject = subject
            subject.reports = backup.subjects[key]?.reports ?? [:]
            subject.isReportLost = (backup.subjects[key]?.lastReported ?? nil) == nil
            subject.abnormalReportedAt = backup.subjects[key]?.abnormalReportedAt ?? subject.abnormalReportedAt
            subjects[key] = subject
        }
    }

    mutating func fail(_ promise: String, _ description: String) {
        violations.append(Violation(promise: promise, description: description))
    }
}

// MARK: - Missing reports

extension HealthLedger {
    /// The claims and the volumes of living pods whose last report differs from their health (a, c).
    ///
    /// - Parameter limit: how long a state may last without a report.
    package func unreported(at now: Duration, after limit: Duration = .zero) -> [Violation] {
        subjects.values.filter { $0.ended == nil }.sorted { $0.name < $1.name }.compactMap { subject in
            guard let period = subject.periods.last, now - period.began >= limit else { return nil }
            switch (period.text, subject.lastReported) {
            case (nil, nil), (nil, .some(nil)): return nil
            case (nil, .some(.some)) where subject.isReportLost: return nil
            case (nil, .some(.some(let reported))):
                return Violation(
                    promise: "c",
                    description: "\(subject.name) is healthy, the last report is \"\(reported)\""
                )
            case (.some(let text), let reported):
                if reported == .some(.some(text)) { return nil }
                return Violation(
                    promise: "a",
                    description:
                        "\(subject.name) is \"\(text)\", last report: \(reported.map { $0 ?? "healthy" } ?? "none")"
                )
            }
        }
    }
}

// MARK: - Leadership

extension HealthLedger {
    /// Records that a replica probed the driver for health (d).
    package mutating func recordProbe(by replica: String, at now: Duration) {
        if holder != replica, now >= doubtfulUntil {
            fail("d", "\(replica) probed the driver at \(now), the holder of the lease is \(holder ?? "empty")")
        }
    }

    mutating func recordLease(_ body: JSONValue?) {
        let identity = body?["spec", "holderIdentity"]?.string ?? ""
        holder = identity.isEmpty ? nil : identity
    }
}
