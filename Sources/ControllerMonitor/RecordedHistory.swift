// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore
import HealthRuntime
package import KubernetesAPI

/// What earlier processes reported, as far as their events still exist.
package struct RecordedHistory: Sendable {
    /// The last event on a claim's volume.
    struct Recorded: Sendable {
        /// nil: the event reports the recovery.
        var fingerprint: Fingerprint?
        /// `metadata.resourceVersion`: versions are in the order of writes, while the clocks of leaders may differ.
        var version: UInt64
        /// `lastTimestamp`, in seconds since 1970.
        var time: Int64
        /// Since when the state holds, as far as events show it, in seconds since 1970.
        var firstTime: Int64
        /// The reported state; nil when the event's message does not hold all of it.
        var state: VolumeState?
    }

    let component: String
    /// Identifies a claim by uid and name. The API server does not check `involvedObject.uid`: an event in one
    /// namespace may have the uid of a claim in another, about which it says nothing.
    struct ClaimIdentity: Sendable, Hashable {
        var key: ClaimKey
        var uid: String
    }

    private(set) var volumes: [ClaimIdentity: Recorded] = [:]
    private(set) var unknowns: [(claimUID: String, key: ClaimKey, fingerprint: Fingerprint)] = []

    /// The last event on whether the driver responds for a claim's volume.
    private(set) var responses: [ClaimIdentity: (isUnanswered: Bool, version: UInt64, time: Int64)] = [:]

    package init(component: String) {
        self.component = component
    }

    package mutating func add(_ event: Event) {
        let uid = event.involvedObject.uid
        let key = ClaimKey(namespace: event.involvedObject.namespace, name: event.involvedObject.name)
        let fingerprint = EventName.fingerprint(
            in: event.metadata.name,
            uid: uid,
            component: component,
            reason: event.reason
        )
        switch event.reason {
        case EventVocabulary.unknownReason:
            if let fingerprint { unknowns.append((uid, key, fingerprint)) }
        case EventVocabulary.abnormalReason:
            // An event with another kind of name is EHM's, which reports only legacy conditions.
            add(event, ClaimIdentity(key: key, uid: uid), fingerprint ?? Self.legacy)
        case EventVocabulary.unansweredReason, EventVocabulary.answeredReason:
            guard fingerprint != nil else { return }
            let claim = ClaimIdentity(key: key, uid: uid)
            let version = UInt64(event.metadata.resourceVersion) ?? 0
            if let earlier = responses[claim], earlier.version > version { return }
            let isUnanswered = event.reason == EventVocabulary.unansweredReason
            responses[claim] = (isUnanswered, version, event.lastTimestamp.seconds)
        case EventVocabulary.normalReason:
            add(event, ClaimIdentity(key: key, uid: uid), nil)
        default: break
        }
    }

    private mutating func add(_ event: Event, _ claim: ClaimIdentity, _ fingerprint: Fingerprint?) {
        var latest = Recorded(
            fingerprint: fingerprint,
            version: UInt64(event.metadata.resourceVersion) ?? 0,
            time: event.lastTimestamp.seconds,
            firstTime: event.firstTimestamp.seconds,
            state: fingerprint.flatMap { VolumeState(summary: event.message, fingerprint: $0) }
        )
        if var earlier = volumes[claim] {
            if (earlier.version, earlier.time) > (latest.version, latest.time) { swap(&earlier, &latest) }
            // An equal state, recorded by EHM and by this program under different names, began with the first event;
            // another state began after the earlier event.
            latest.firstTime =
                earlier.fingerprint == latest.fingerprint
                ? min(earlier.firstTime, latest.firstTime) : max(earlier.time, latest.firstTime)
        }
        volumes[claim] = latest
    }

    private static let legacy = VolumeState([VolumeHealthCondition(abnormalMessage: "")]).fingerprint
}

extension HealthState {
    package mutating func restore(_ events: RecordedHistory, at now: Duration) {
        let wall = Time.now().seconds
        for (identity, recorded) in events.volumes {
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
                at: now,
                wall: wall
            )
        }
        let known = events.volumes.keys.filter { claim(at: $0.key)?.uid == $0.uid }
        restoreFromStatuses(except: Set(known.map(\.uid)), at: now, wall: wall)
        for (identity, recorded) in events.responses where recorded.isUnanswered {
            let age = Duration.age(of: recorded.time, now: wall)
            restoreUnanswered(claimUID: identity.uid, key: identity.key, reportedAt: now - age)
        }
        for (uid, key, fingerprint) in events.unknowns {
            restore(reportedUnknown: fingerprint, claimUID: uid, key: key)
        }
    }
}
