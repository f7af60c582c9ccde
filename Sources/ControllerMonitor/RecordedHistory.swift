// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore
import HealthRuntime
package import KubernetesAPI

/// What earlier processes reported on claims, reduced from those of their events that still exist (rule 9). A new
/// leader adds the events in any order, then restores the ``ControllerCore/HealthState`` from them.
package struct RecordedHistory: Sendable {
    /// The last event VolumeConditionAbnormal or VolumeConditionNormal on a claim.
    struct Recorded: Sendable {
        /// Of the reported state; nil: the event reports a recovery.
        var fingerprint: Fingerprint?
        /// `metadata.resourceVersion`, which decides which event is the last: versions are in the order of writes,
        /// while the clocks of leaders may differ.
        var version: UInt64
        /// `lastTimestamp`, in seconds since 1970.
        var time: Int64
        /// Since when the state has lasted, as far as the events show, in seconds since 1970.
        var firstTime: Int64
        /// The event's count; 0 for an event under another name than this program's.
        var count: Int
        /// The reported state; nil if the event's message does not contain all of it.
        var state: VolumeState?
    }

    let component: String
    private var claims = RecordedClaims()

    private(set) var volumes: [ClaimIdentity: Recorded] = [:]
    /// The reported conditions of unknown types, as many of each claim as are restored.
    private(set) var unknowns: [ClaimIdentity: [Fingerprint]] = [:]

    /// The last event VolumeHealthUnknown or VolumeHealthKnown on each claim: whether the driver responds to health
    /// calls for its volume. `time` is in seconds since 1970.
    private(set) var responses: [ClaimIdentity: (isUnresponsive: Bool, version: UInt64, time: Int64)] = [:]

    /// - Parameter component: the source component of the events, which their names depend on.
    package init(component: String) {
        self.component = component
    }

    /// Adds an event of this component on a PersistentVolumeClaim. Other reasons are ignored.
    ///
    /// - Parameter isCached: whether the cache has the claim (``ControllerCore/HealthState/hasClaim(at:uid:)``). Of
    ///   other claims a limited number is kept.
    package mutating func add(_ event: Event, isCached: Bool) {
        let claim = ClaimIdentity(event)
        guard claims.keep(claim, isCached: isCached) else { return }
        let fingerprint = EventName.fingerprint(
            in: event.metadata.name,
            uid: claim.uid,
            component: component,
            reason: event.reason
        )
        switch event.reason {
        case EventVocabulary.unknownReason:
            if let fingerprint { addUnknown(fingerprint, claim) }
        case EventVocabulary.abnormalReason:
            // An event whose name has no fingerprint was recorded by EHM, which reports only legacy conditions.
            let count = fingerprint == nil ? 0 : Int(event.count)
            add(event, claim, fingerprint ?? Self.legacy, count: count)
        case EventVocabulary.healthUnknownReason, EventVocabulary.healthKnownReason:
            guard fingerprint != nil else { return }
            let version = UInt64(event.metadata.resourceVersion) ?? 0
            if let earlier = responses[claim], earlier.version > version { return }
            let isUnresponsive = event.reason == EventVocabulary.healthUnknownReason
            responses[claim] = (isUnresponsive, version, event.lastTimestamp.seconds)
        case EventVocabulary.normalReason:
            add(event, claim, nil)
        default: break
        }
    }

    private mutating func add(_ event: Event, _ claim: ClaimIdentity, _ fingerprint: Fingerprint?, count: Int = 0) {
        var latest = Recorded(
            fingerprint: fingerprint,
            version: UInt64(event.metadata.resourceVersion) ?? 0,
            time: event.lastTimestamp.seconds,
            firstTime: event.firstTimestamp.seconds,
            count: count,
            state: fingerprint.flatMap { VolumeState(summary: event.message, fingerprint: $0) }
        )
        if var earlier = volumes[claim] {
            if (earlier.version, earlier.time) > (latest.version, latest.time) { swap(&earlier, &latest) }
            // EHM and this program record the same state under different names: it began with the earlier event. A
            // different state began after the earlier event.
            latest.firstTime =
                earlier.fingerprint == latest.fingerprint
                ? min(earlier.firstTime, latest.firstTime) : max(earlier.time, latest.firstTime)
        }
        volumes[claim] = latest
    }

    private mutating func addUnknown(_ fingerprint: Fingerprint, _ claim: ClaimIdentity) {
        let known = unknowns[claim, default: []]
        guard known.count < HealthState.maximumUnknownConditions, !known.contains(fingerprint) else { return }
        unknowns[claim, default: []].append(fingerprint)
    }

    private static let legacy = VolumeState([VolumeHealthCondition(abnormalMessage: "")]).fingerprint
}

extension HealthState {
    /// Restores what earlier processes reported: from their events and, for claims without one, from the claims'
    /// status. Called when the caches of volumes and claims are filled: before the first report of a term, or later if
    /// the events could not be read back then.
    ///
    /// - Parameter now: the time on the clock of the core.
    package mutating func restore(_ history: RecordedHistory, at now: Duration) {
        let wall = Time.now().seconds
        for (identity, recorded) in history.volumes {
            guard let fingerprint = recorded.fingerprint else { continue }
            let age = Duration.age(of: recorded.time, now: wall)
            let firstAge = Duration.age(of: recorded.firstTime, now: wall)
            restore(
                reported: fingerprint,
                state: recorded.state,
                claimUID: identity.uid,
                key: identity.key,
                reportedAt: now - age,
                since: recorded.firstTime > 0 ? now - firstAge : nil,
                count: recorded.count,
                at: now,
                wall: wall
            )
        }
        let known = history.volumes.keys.filter { claim(at: $0.key)?.uid == $0.uid }
        restoreFromStatuses(except: Set(known.map(\.uid)), at: now, wall: wall)
        for (identity, recorded) in history.responses where recorded.isUnresponsive {
            let age = Duration.age(of: recorded.time, now: wall)
            restoreUnresponsive(claimUID: identity.uid, key: identity.key, reportedAt: now - age)
        }
        for (identity, fingerprints) in history.unknowns {
            for fingerprint in fingerprints {
                restore(reportedUnknown: fingerprint, claimUID: identity.uid, key: identity.key)
            }
        }
    }
}
