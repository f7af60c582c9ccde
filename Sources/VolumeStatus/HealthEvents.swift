// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The health that events describe: per object and component, what the last event says.
///
/// Pure. Events of other components than the monitor's, external-health-monitor's and the kubelet's are ignored, and so
/// are those on an earlier object of the same name.
struct HealthEvents: Sendable {
    /// The reasons of the events that are read. Each is a list of its own, because a field selector has no "or".
    static let reasons = [
        EventVocabulary.abnormalReason, EventVocabulary.normalReason, EventVocabulary.healthUnknownReason,
        EventVocabulary.healthKnownReason, EventVocabulary.unknownReason,
    ]

    /// Of the events on CSIDrivers that are read. While the volumes are missing, no event is on a claim.
    static let driverReasons = [EventVocabulary.volumesVanishedReason, EventVocabulary.volumesFoundReason]

    static let kubelet = "kubelet"

    /// The event that says that too many of a driver's volumes are missing at once; nil: it is over, or there was none.
    ///
    /// - Parameter leader: since when the controller leads, in seconds since 1970; nil: not known. It does not end what an
    ///   earlier one has recorded.
    static func missingVolumes(of driver: String, in events: [ListedEvent], leader: Int64?) -> ListedEvent? {
        let component = EventVocabulary.controllerComponent(driverName: driver)
        let own = events.filter { $0.kind == "CSIDriver" && $0.object == driver && $0.component == component }
        func last(_ reason: String) -> ListedEvent? {
            own.filter { $0.reason == reason }.max { $1.isLater(than: $0) }
        }
        guard let vanished = last(EventVocabulary.volumesVanishedReason), vanished.last >= leader ?? .min else {
            return nil
        }
        return last(EventVocabulary.volumesFoundReason)?.isLater(than: vanished) == true ? nil : vanished
    }

    /// The events of one component about one volume.
    private struct History {
        var abnormal: ListedEvent?
        var normal: ListedEvent?
        var healthUnknown: ListedEvent?
        var healthKnown: ListedEvent?

        mutating func add(_ event: ListedEvent) {
            switch event.reason {
            case EventVocabulary.abnormalReason: Self.keepLater(&abnormal, event)
            case EventVocabulary.normalReason: Self.keepLater(&normal, event)
            case EventVocabulary.healthUnknownReason: Self.keepLater(&healthUnknown, event)
            case EventVocabulary.healthKnownReason: Self.keepLater(&healthKnown, event)
            default: break
            }
        }

        private static func keepLater(_ kept: inout ListedEvent?, _ event: ListedEvent) {
            if kept.map(event.isLater) ?? true { kept = event }
        }

        /// The event that still holds: the first of a pair, unless the second is later.
        private static func current(_ event: ListedEvent?, endedBy end: ListedEvent?) -> ListedEvent? {
            guard let event, end.map(event.isLater) ?? true else { return nil }
            return event
        }

        /// Since when the event holds: an event that was recorded before the last recovery has held again since then,
        /// at most.
        private static func since(_ event: ListedEvent, after end: ListedEvent?) -> Int64 {
            max(event.first, min(end?.last ?? event.first, event.last))
        }

        var finding: (event: ListedEvent, isAbnormal: Bool, since: Int64)? {
            if let event = Self.current(abnormal, endedBy: normal) {
                return (event, true, Self.since(event, after: normal))
            }
            if let event = Self.current(healthUnknown, endedBy: healthKnown) {
                return (event, false, Self.since(event, after: healthKnown))
            }
            return nil
        }
    }

    /// Which component reports on which claim.
    private struct Reporter: Hashable {
        var component: String
        var claim: ObjectName
        /// nil for the events on the claim itself.
        var pod: String?
    }

    private struct PodClaim: Hashable {
        var pod: String
        var claim: ObjectName
    }

    private var histories: [Reporter: History] = [:]
    /// When the controllers and agents of each driver have last recorded or refreshed an event, in seconds since 1970.
    private(set) var lastTimes: [String: Int64] = [:]
    /// Claims with an event on a condition of an unknown type. There is none on its end: it expires.
    private(set) var unknownConditions: Set<ObjectName> = []
    /// The recoveries that agents have recorded last on pods.
    private var recoveries: [PodClaim: ListedEvent] = [:]
    /// The last event of a controller or an agent about each claim.
    private var lastEvents: [ObjectName: ListedEvent] = [:]

    /// Events of lasting conditions are refreshed every 30 minutes: with an event of this age in seconds at most, its
    /// component still runs.
    private static let recentAge: Int64 = 40 * 60

    init(_ snapshot: ClusterSnapshot) {
        for event in (snapshot.events ?? [:]).values {
            switch event.kind {
            case "PersistentVolumeClaim": add(onClaim: event, snapshot)
            case "Pod": add(onPod: event, snapshot)
            default: break
            }
        }
        for (reporter, history) in histories where reporter.component != Self.kubelet {
            guard let pod = reporter.pod, let normal = history.normal else { continue }
            let key = PodClaim(pod: pod, claim: reporter.claim)
            if recoveries[key].map(normal.isLater) ?? true { recoveries[key] = normal }
        }
    }

    private mutating func add(onClaim event: ListedEvent, _ snapshot: ClusterSnapshot) {
        let name = ObjectName(event.name.namespace, event.object)
        guard event.component.hasPrefix(EventVocabulary.controllerPrefix) else { return }
        // Of a claim that was not selected: its controller runs all the same.
        guard let claim = snapshot.claims[name] else { return noteTime(of: event) }
        guard event.objectUID.isEmpty || event.objectUID == claim.uid else { return }
        histories[Reporter(component: event.component, claim: name), default: History()].add(event)
        noteTime(of: event)
        note(event, about: name)
    }

    private mutating func add(onPod event: ListedEvent, _ snapshot: ClusterSnapshot) {
        guard event.component.hasPrefix(EventVocabulary.agentPrefix) || event.component == Self.kubelet,
            let report = PodVolumeReport(event.message)
        else { return }
        // Also of a volume without a claim.
        noteTime(of: event)
        let name = ObjectName(event.name.namespace, event.object)
        let pod = snapshot.pods?[name]
        if snapshot.pods != nil {
            guard let pod, !pod.hasEnded, event.objectUID.isEmpty || event.objectUID == pod.uid else { return }
        }
        guard let claimName = report.claim ?? pod?.claims[report.volume] else { return }
        let claim = ObjectName(name.namespace, claimName)
        let reporter = Reporter(component: event.component, claim: claim, pod: name.name)
        histories[reporter, default: History()].add(event)
        note(event, about: claim)
    }

    private mutating func noteTime(of event: ListedEvent) {
        guard Self.reasons.contains(event.reason), let driver = Self.driver(ofComponent: event.component) else {
            return
        }
        lastTimes[driver] = max(lastTimes[driver] ?? event.last, event.last)
    }

    private mutating func note(_ event: ListedEvent, about claim: ObjectName) {
        guard Self.reasons.contains(event.reason), Self.driver(ofComponent: event.component) != nil else { return }
        if event.reason == EventVocabulary.unknownReason { unknownConditions.insert(claim) }
        if lastEvents[claim].map(event.isLater) ?? true { lastEvents[claim] = event }
    }

    /// The driver of the claim's volume, if a controller or an agent has recorded an event about it.
    func driver(of claim: ObjectName) -> String? {
        lastEvents[claim].flatMap { Self.driver(ofComponent: $0.component) }
    }

    /// The drivers whose controllers or agents have recently recorded or refreshed an event.
    func recentDrivers(now: Int64) -> Set<String> {
        Set(lastTimes.filter { ageInSeconds(of: $0.value, now: now) <= Self.recentAge }.keys)
    }

    /// When an agent has recorded last that a claim's volume has recovered on this pod, in seconds since 1970.
    func recovery(onPod pod: String, of claim: ObjectName) -> Int64? {
        recoveries[PodClaim(pod: pod, claim: claim)]?.last
    }

    /// What the events say of each claim, in no order.
    func findings() -> [(claim: ObjectName, finding: HealthFinding)] {
        histories.compactMap { reporter, history in
            guard let (event, isAbnormal, since) = history.finding else { return nil }
            // The kubelet records no recoveries: those that an agent has recorded on the same pod count.
            if reporter.component == Self.kubelet, let pod = reporter.pod,
                let recovery = recoveries[PodClaim(pod: pod, claim: reporter.claim)], !event.isLater(than: recovery)
            {
                return nil
            }
            let isOnPod = reporter.pod != nil
            let text = isOnPod ? PodVolumeReport(event.message)?.text ?? event.message : event.message
            let finding = HealthFinding(
                source: isOnPod ? .podEvent : .claimEvent,
                conditions: isAbnormal ? [.init(report: text)] : [],
                since: since,
                last: event.last,
                driver: Self.driver(ofComponent: event.component),
                node: isOnPod && !event.host.isEmpty ? event.host : nil
            )
            return (reporter.claim, finding)
        }
    }

    /// nil for the kubelet.
    private static func driver(ofComponent component: String) -> String? {
        for prefix in [EventVocabulary.controllerPrefix, EventVocabulary.agentPrefix] where component.hasPrefix(prefix)
        {
            return String(component.dropFirst(prefix.count))
        }
        return nil
    }
}
