// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The change that makes a claim's status show the current state.
package struct StatusChange: Sendable, Hashable {
    /// `status.healthStatus`
    package struct Field: Sendable, Hashable {
        /// The worst first; empty: the field is removed.
        package var conditions: [VolumeHealthCondition]
        /// Whether the set of (status, reason) changes, not only messages.
        package var isTransition: Bool
        /// Whether it is unknown if the API server keeps the field.
        package var isUncertain: Bool
    }

    /// The condition of type ``ClaimCondition/type`` in `status.conditions`.
    package enum Condition: Sendable, Hashable {
        /// Set the condition; `isTransition`: whether its status changes.
        case set(ClaimCondition, isTransition: Bool)
        /// Remove the condition.
        case remove
    }

    /// The claim in its latest known version.
    package var claim: Claim
    /// nil: the field needs no change, or the API server does not keep it.
    package var field: Field?
    /// nil: the condition needs no change.
    package var condition: Condition?
}

/// An update of `status.healthStatus` that is sent to see whether the API server keeps the field.
package struct StatusTrial: Sendable, Hashable {
    package var claim: Claim
    package var field: StatusChange.Field
    /// Since when the volume is in this state.
    package var since: Duration

    package var change: StatusChange { StatusChange(claim: claim, field: field) }
}

/// Which part of a claim's status shows its volume's health: the field `healthStatus`, which needs Kubernetes 1.37 and
/// a feature gate, or a condition.
extension HealthState {
    private var usesField: Bool { writesStatus && keepsHealthStatus != false }

    private var usesCondition: Bool {
        switch configuration.claimConditions {
        case .always: true
        case .never: false
        case .auto: keepsHealthStatus == false
        }
    }

    /// Queues an update that makes the claim's status show this state, or no state when neither field nor condition is
    /// used.
    mutating func setStatus(_ state: VolumeState, for claim: ClaimNumber, at now: Duration) {
        let state = usesField || usesCondition ? state : .clear
        if !statuses.contains(claim) {
            let shown = shownState(on: claim, wanted: state)
            if shown == .clear, state.isClear { return }
            statuses.observe(reported: shown, for: claim, at: now)
        }
        statuses.set(state, for: claim, at: now)
    }

    /// Reports to the queue what the claim's status shows, as the index has it.
    mutating func observeStatus(of claim: ClaimNumber, at now: Duration) {
        guard statuses.contains(claim) else { return }
        let state = statuses.current(claim) ?? .clear
        statuses.observe(reported: shownState(on: claim, wanted: state), for: claim, at: now)
    }

    /// The API server responded to conditions in `status.healthStatus` of a claim in this namespace, with or without the
    /// field. Where it is known to keep the field, an admission webhook of one namespace may remove it: that it keeps it no
    /// longer follows from three namespaces, or from all with unhealthy volumes, without one in between that has kept it.
    /// Three decide once in a term: a webhook may be for just these.
    ///
    /// - Returns: whether ``keepsHealthStatus`` has changed.
    package mutating func healthStatusReturned(isKept: Bool, in namespace: String, at now: Duration) -> Bool {
        if isKept {
            droppingNamespaces = []
        } else if keepsHealthStatus == true {
            droppingNamespaces.insert(namespace)
            let isElsewhere = events.unhealthy.contains { claim, _ in
                index.claim(claim).map { !droppingNamespaces.contains($0.key.namespace) } ?? false
            }
            guard !isElsewhere || droppingNamespaces.count >= 3 && !haveThreeDecided else { return false }
            if isElsewhere { haveThreeDecided = true }
        }
        return setKeepsHealthStatus(isKept, at: now)
    }

    /// Sets whether the API server keeps `status.healthStatus`.
    ///
    /// - Returns: whether this is a change.
    @discardableResult
    package mutating func setKeepsHealthStatus(_ isKept: Bool, at now: Duration) -> Bool {
        guard keepsHealthStatus != isKept else { return false }
        keepsHealthStatus = isKept
        for claim in Array(statuses.keys) { observeStatus(of: claim, at: now) }
        for (claim, state) in Array(events.unhealthy) { setStatus(state, for: claim, at: now) }
        return true
    }

    /// The change that makes the claim's status show the state of this report; nil when the claim is gone.
    ///
    /// - Parameter isFieldDropped: the API server has dropped the field from this claim, and keeps it elsewhere: with
    ///   `auto`, the condition takes its place on this claim.
    package func statusChange(
        for report: PendingReport<ClaimNumber, VolumeState, Claim>,
        isFieldDropped: Bool = false
    ) -> StatusChange? {
        guard let claim = index.claim(report.key), claim.uid == report.claim.uid else { return nil }
        return StatusChange(
            claim: claim,
            field: fieldChange(of: report.key, to: report.state),
            condition: conditionChange(of: report.key, to: report.state, isFieldDropped: isFieldDropped)
        )
    }

    /// Since when the volume is in the state that a report writes. The report alone does not know it where the status has
    /// been found to show the state, and is written again in another form.
    package func since(_ report: PendingReport<ClaimNumber, VolumeState, Claim>) -> Duration {
        events.since(report.key) ?? report.since
    }

    /// The next update that shows whether the API server keeps `status.healthStatus`; nil while no claim has an unhealthy
    /// volume, and where the field is not written. Each is of a claim in another namespace, because requests may fail in
    /// one of them.
    package mutating func nextStatusTrial() -> StatusTrial? {
        guard writesStatus else { return nil }
        var first: StatusTrial?
        for (number, state) in events.unhealthy {
            guard let claim = index.claim(number), let since = events.since(number) else { continue }
            let field = StatusChange.Field(conditions: state.conditions, isTransition: true, isUncertain: true)
            let trial = StatusTrial(claim: claim, field: field, since: since)
            if triedNamespaces.insert(claim.key.namespace).inserted { return trial }
            if first == nil { first = trial }
        }
        // Each of them had a turn.
        triedNamespaces = first.map { [$0.claim.key.namespace] } ?? []
        return first
    }

    /// Whether there is periodic work that no change of the cluster or of a volume triggers: to check again whether the
    /// API server keeps `status.healthStatus`, or to remove ``outdatedConditions(before:)``.
    package var needsStatusMaintenance: Bool {
        let isHidden =
            writesStatus && (keepsHealthStatus == false || (keepsHealthStatus == nil && !index.conditions.isEmpty))
        return isHidden || index.healthyConditions > 0
    }

    /// Claims with volumes of the monitored driver whose condition has been healthy since before this time, in seconds
    /// since 1970.
    package func outdatedConditions(before time: Int64) -> [Claim] {
        index.conditions.compactMap { element in
            element.value.isHealthy && element.value.transition < time && index.hasVolume(element.key)
                ? index.claim(element.key) : nil
        }
    }

    /// The next claim whose status does not show the current state. Write ``statusChange(for:)``, then call
    /// ``complete(status:_:at:)`` in any case.
    package mutating func nextStatus(at now: Duration) -> NextStep<PendingReport<ClaimNumber, VolumeState, Claim>> {
        endPauses(at: now)
        return statuses.next(at: now, target: index.claim).waiting(atMostUntil: flaps.firstDue)
    }

    /// Completes a report of ``nextStatus(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        status: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        statuses.complete(status, outcome, at: now)
    }

    /// Whether the API server keeps `status.healthStatus` and allows this process to write it in any namespace; true
    /// until it is known.
    package var isStatusSupported: Bool { keepsHealthStatus != false && !statuses.isForbiddenAltogether }

    /// How many status updates on transitions wait or are under way, and since when the oldest of them does.
    ///
    /// Empty while status updates are forbidden in all namespaces, as they are by the roles of external-health-monitor
    /// 0.18.
    package var statusBacklog: (depth: Int, oldest: Duration?) {
        statuses.isForbiddenAltogether ? (0, nil) : statuses.backlog
    }

    private func fieldChange(of number: ClaimNumber, to state: VolumeState) -> StatusChange.Field? {
        let shown = index.healthStatus(of: number)
        let wanted = writesStatus ? state : .clear
        guard keepsHealthStatus != false, shown != wanted else { return nil }
        let isUncertain = keepsHealthStatus == nil && !wanted.isClear
        // The condition shows the state already, perhaps because the API server does not keep the field.
        if isUncertain, index.condition(of: number)?.match(state) == .all { return nil }
        return StatusChange.Field(
            conditions: wanted.conditions,
            isTransition: shown.fingerprint != wanted.fingerprint,
            isUncertain: isUncertain
        )
    }

    private func conditionChange(
        of number: ClaimNumber,
        to state: VolumeState,
        isFieldDropped: Bool = false
    ) -> StatusChange.Condition? {
        let usesCondition = usesCondition || isFieldDropped && configuration.claimConditions == .auto
        let shown = index.condition(of: number)
        let isUnhealthy = shown?.isHealthy == false
        if usesCondition, !state.isClear {
            return shown?.match(state) == .all ? nil : .set(ClaimCondition(state), isTransition: !isUnhealthy)
        }
        guard isUnhealthy else { return nil }
        let mayUseCondition = usesCondition || (configuration.claimConditions == .auto && keepsHealthStatus == nil)
        guard mayUseCondition, index.hasVolume(number) else { return .remove }
        return state.isClear ? .set(ClaimCondition(state), isTransition: true) : nil
    }

    /// The state that the claim's status shows, compared with the state that it should show; nil: it corresponds to no
    /// state.
    private func shownState(on number: ClaimNumber, wanted state: VolumeState) -> VolumeState? {
        let (field, condition) = (fieldChange(of: number, to: state), conditionChange(of: number, to: state))
        if field == nil, condition == nil { return state }
        let shown = index.condition(of: number)
        if shown?.isHealthy != false, !usesCondition || index.healthStatus(of: number).isClear {
            return index.healthStatus(of: number)
        }
        let isSameCondition = condition == nil || shown?.match(state) == .otherMessage
        return isSameCondition && field?.isTransition != true ? state.withoutMessages : nil
    }
}
