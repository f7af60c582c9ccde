// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What is written to a claim's status so that it shows what is known.
package struct StatusChange: Sendable, Hashable {
    /// `status.healthStatus`
    package struct Field: Sendable, Hashable {
        /// All that is wrong, worst first; empty: the field is removed.
        package var conditions: [VolumeHealthCondition]
        /// The set of (status, reason) changes, not only messages.
        package var isTransition: Bool
        /// It is not known whether the API server keeps the field.
        package var isUncertain: Bool
    }

    /// The condition of type ``ClaimCondition/type`` in `status.conditions`.
    package enum Condition: Sendable, Hashable {
        /// Set it; `isTransition`: its status changes.
        case set(ClaimCondition, isTransition: Bool)
        /// Remove it.
        case remove
    }

    /// The claim as it was last seen.
    package var claim: Claim
    /// nil: it shows what it should, or the API server does not keep it.
    package var field: Field?
    /// nil: it shows what it should, or is not to be there and is not.
    package var condition: Condition?
}

/// Where the claims' status shows their volumes' health: the field `healthStatus`, which needs Kubernetes 1.37 and a feature
/// gate, or a condition.
extension HealthState {
    private var usesField: Bool { writesStatus && keepsHealthStatus != false }

    private var usesCondition: Bool {
        switch configuration.claimConditions {
        case .always: true
        case .never: false
        case .auto: keepsHealthStatus == false
        }
    }

    /// Makes the claim's status show this state, or none where it shows no state.
    mutating func setStatus(_ state: VolumeState, for claim: ClaimNumber, at now: Duration) {
        let state = usesField || usesCondition ? state : .clear
        if !statuses.contains(claim) {
            let shown = shownState(on: claim, asIf: state)
            if shown == .clear, state.isClear { return }
            statuses.observe(reported: shown, for: claim, at: now)
        }
        statuses.set(state, for: claim, at: now)
    }

    /// The claim's status was observed to be as the index has it.
    mutating func observeStatus(of claim: ClaimNumber, at now: Duration) {
        guard statuses.contains(claim) else { return }
        let state = statuses.current(claim) ?? .clear
        statuses.observe(reported: shownState(on: claim, asIf: state), for: claim, at: now)
    }

    /// Whether the API server keeps `status.healthStatus`; nil until it is known.
    ///
    /// - Returns: whether it is otherwise than before.
    @discardableResult
    package mutating func setKeepsHealthStatus(_ isKept: Bool, at now: Duration) -> Bool {
        guard keepsHealthStatus != isKept else { return false }
        keepsHealthStatus = isKept
        for claim in Array(statuses.keys) { observeStatus(of: claim, at: now) }
        for (claim, state) in Array(events.unhealthy) { setStatus(state, for: claim, at: now) }
        return true
    }

    /// What to write so that the claim's status shows this state; nil when the claim is gone.
    package func statusChange(for pendingReport: PendingReport<ClaimNumber, VolumeState, Claim>) -> StatusChange? {
        guard let claim = index.claim(pendingReport.key), claim.uid == pendingReport.claim.uid else { return nil }
        return change(of: pendingReport.key, claim, to: pendingReport.state)
    }

    /// A change by which it can be found out whether the API server keeps `status.healthStatus`; nil while no claim has an
    /// unhealthy condition.
    package var trialStatusChange: StatusChange? {
        for (number, state) in events.unhealthy {
            guard let claim = index.claim(number) else { continue }
            let field = StatusChange.Field(conditions: state.conditions, isTransition: true, isUncertain: true)
            return StatusChange(claim: claim, field: field)
        }
        return nil
    }

    /// Whether there is anything to do that no change in the cluster or of a volume causes: to find out once more whether
    /// the API server keeps `status.healthStatus`, or to remove a condition of ``outdatedConditions(before:)``.
    package var needsStatusMaintenance: Bool {
        let isHidden =
            writesStatus && (keepsHealthStatus == false || (keepsHealthStatus == nil && !index.conditions.isEmpty))
        return isHidden || index.healthyConditions > 0
    }

    /// Claims of our driver's volumes whose condition has been healthy since before this time, in seconds since 1970.
    package func outdatedConditions(before time: Int64) -> [Claim] {
        index.conditions.compactMap { element in
            element.value.isHealthy && element.value.transition < time && index.hasVolume(element.key)
                ? index.claim(element.key) : nil
        }
    }

    private func change(of number: ClaimNumber, _ claim: Claim, to state: VolumeState) -> StatusChange {
        StatusChange(
            claim: claim,
            field: fieldChange(of: number, to: state),
            condition: conditionChange(of: number, to: state)
        )
    }

    private func fieldChange(of number: ClaimNumber, to state: VolumeState) -> StatusChange.Field? {
        let shown = index.healthStatus(of: number)
        let wanted = writesStatus ? state : .clear
        guard keepsHealthStatus != false, shown != wanted else { return nil }
        let isUncertain = keepsHealthStatus == nil && !wanted.isClear
        // A server that does not keep the field may be why the condition says it.
        if isUncertain, index.condition(of: number)?.match(state) == .all { return nil }
        return StatusChange.Field(
            conditions: wanted.conditions,
            isTransition: shown.fingerprint != wanted.fingerprint,
            isUncertain: isUncertain
        )
    }

    private func conditionChange(of number: ClaimNumber, to state: VolumeState) -> StatusChange.Condition? {
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

    /// What the claim's status says, seen from the state that it is to show; nil: something else than any state.
    private func shownState(on number: ClaimNumber, asIf state: VolumeState) -> VolumeState? {
        let (field, condition) = (fieldChange(of: number, to: state), conditionChange(of: number, to: state))
        if field == nil, condition == nil { return state }
        let shown = index.condition(of: number)
        if shown?.isHealthy != false, !usesCondition || index.healthStatus(of: number).isClear {
            return index.healthStatus(of: number)
        }
        let saysSame = condition == nil || shown?.match(state) == .otherMessage
        return saysSame && field?.isTransition != true ? state.withoutMessages : nil
    }
}
