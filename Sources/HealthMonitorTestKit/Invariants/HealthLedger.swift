// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What was true of volumes, what their claims were reported, who led and who asked: the promises of a health monitor as
/// they look from outside, by the API server's journal and not by the monitor's word.
///
/// - a: every condition that lasted is reported;
/// - b: nothing is reported twice, and no event is there twice;
/// - c: what was reported and ended is cleared, once;
/// - d: only the holder of the lease asks the driver;
/// - f: an error is never reported as health, and nothing is reported that was not so.
///
/// (e, that the steady state writes nothing, is ``writes``.) A value; what is handed in must be in the order of time.
package struct HealthLedger: Sendable {
    /// A broken promise.
    package struct Violation: Sendable, Hashable, CustomStringConvertible {
        /// The letter of the promise.
        package var promise: String
        /// What happened.
        package var description: String
    }

    /// A time in which a volume was in one state.
    struct Period: Sendable {
        /// What the claim's event must say; nil: nothing is wrong.
        var text: String?
        var began: Duration
    }

    struct Claim: Sendable {
        var name: String
        var periods: [Period] = []
        /// How often each text was reported; nil: that nothing is wrong any more.
        var reports: [String?: Int] = [:]
        /// The last text that was reported; nil: none yet.
        var lastReported: String??
        /// Since when something that was reported has not been cleared.
        var abnormalReportedAt: Duration?
    }

    struct Event: Sendable {
        var claimUID: String
        var reason: String
        var message: String
        var count: Int64
    }

    var claims: [String: Claim] = [:]
    /// By namespace and name.
    var events: [String: Event] = [:]
    /// Who holds the lease, by the last write of it.
    package internal(set) var holder: String?
    /// Until then who holds the lease is not who leads.
    private var doubtfulUntil = Duration.zero
    /// Promises that were broken, in the order of time.
    package internal(set) var violations: [Violation] = []
    /// How many writes of events and status fields the API server has taken.
    package internal(set) var writes = 0
    /// How many events were reported: made, or their count raised.
    package internal(set) var reports = 0
    /// Events on a claim that say what the ledger was not reported to expect, such as NodeFailed, are not its business.
    static let reasons: Set = ["VolumeConditionAbnormal", "VolumeConditionNormal"]
    /// How often what lasts is reported again.
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

    /// From now on a claim's volume is in a state.
    ///
    /// - Parameter text: what the claim's event must say; nil: nothing is wrong.
    package mutating func hold(_ text: String?, claimUID: String, name: String, at now: Duration) {
        var claim = claims[claimUID] ?? Claim(name: name)
        if claim.periods.last?.text != text || claim.periods.isEmpty {
            claim.periods.append(Period(text: text, began: now))
        }
        claims[claimUID] = claim
    }

    /// A claim is deleted, or is no longer its volume's: nothing more is to be reported.
    package mutating func forget(claimUID: String) {
        claims[claimUID] = nil
    }

    /// Whether a claim is known.
    package func knows(claimUID: String) -> Bool { claims[claimUID] != nil }

    /// Everything that the API server held was put back to what it was at the time of another state of this ledger.
    ///
    /// What was reported since then may be reported again, for it is lost. The lease may be back with who held it then, while
    /// another one leads: until that has found out, within the lease duration, both may ask the driver.
    package mutating func restore(to backup: HealthLedger, at now: Duration) {
        holder = backup.holder
        doubtfulUntil = now + leaseDuration
        events = backup.events
        for (uid, claim) in claims {
            var claim = claim
            claim.reports = backup.claims[uid]?.reports ?? [:]
            claim.abnormalReportedAt = backup.claims[uid]?.abnormalReportedAt ?? claim.abnormalReportedAt
            claims[uid] = claim
        }
    }

    mutating func report(_ promise: String, _ description: String) {
        violations.append(Violation(promise: promise, description: description))
    }
}

// MARK: - What is so now, and should have been reported

extension HealthLedger {
    /// The claims whose last event does not say what is so, though it has been so for a while (a, c).
    ///
    /// - Parameter limit: how long something may be so without being reported.
    package func unreported(at now: Duration, after limit: Duration = .zero) -> [Violation] {
        claims.values.sorted { $0.name < $1.name }.compactMap { claim in
            guard let period = claim.periods.last, now - period.began >= limit else { return nil }
            switch (period.text, claim.lastReported) {
            case (nil, nil), (nil, .some(nil)): return nil
            case (nil, .some(.some(let reported))):
                return Violation(
                    promise: "c",
                    description: "\(claim.name) is well and was last reported \"\(reported)\""
                )
            case (.some(let text), let reported):
                if reported == .some(.some(text)) { return nil }
                return Violation(
                    promise: "a",
                    description:
                        "\(claim.name) was not reported \"\(text)\", last: \(reported.map { $0 ?? "well" } ?? "nothing")"
                )
            }
        }
    }
}

// MARK: - Who leads, who asks

extension HealthLedger {
    /// The driver was asked how its volumes are, by this replica (d).
    package mutating func probe(by replica: String, at now: Duration) {
        if holder != replica, now >= doubtfulUntil {
            report("d", "\(replica) asked the driver at \(now), the lease is \(holder.map { "\($0)'s" } ?? "nobody's")")
        }
    }

    /// A write of the Lease was taken.
    mutating func lease(_ body: JSONValue?) {
        let identity = body?["spec", "holderIdentity"]?.string ?? ""
        holder = identity.isEmpty ? nil : identity
    }
}
