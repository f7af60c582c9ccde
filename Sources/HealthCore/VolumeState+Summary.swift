// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension VolumeState {
    /// Parses the summary in an event of an earlier leader; nil when the text does not describe a state with this
    /// fingerprint: another client has changed it, or it was truncated. A state has at most
    /// ``VolumeHealthReport/maximumConditions`` conditions; a text with more was made up.
    ///
    /// - Parameter summary: as ``Swift/Collection/summary`` of conditions returns it.
    package init?(summary: String, fingerprint: Fingerprint) {
        let legacy = VolumeState([VolumeHealthCondition(abnormalMessage: summary)])
        if legacy.fingerprint == fingerprint {
            self = legacy
            return
        }
        var conditions: [VolumeHealthCondition] = []
        // A message may contain the separator: a part that begins no condition belongs to the previous message.
        for part in summary.split(separator: "; ", omittingEmptySubsequences: false) {
            if let condition = VolumeHealthCondition(summary: part) {
                guard conditions.count < VolumeHealthReport.maximumConditions else { return nil }
                conditions.append(condition)
            } else if let last = conditions.popLast() {
                let message = "\(last.message); \(part)"
                conditions.append(VolumeHealthCondition(status: last.status, reason: last.reason, message: message))
            } else {
                return nil
            }
        }
        let state = VolumeState(conditions)
        guard state.fingerprint == fingerprint else { return nil }
        self = state
    }
}

extension VolumeHealthCondition {
    /// `Degraded (SlowIO): 3 of 12 paths`
    fileprivate init?(summary: Substring) {
        guard let status = Status.allCases.first(where: { summary.hasPrefix("\($0.rawValue) (") }) else { return nil }
        let rest = summary.dropFirst(status.rawValue.count + 2)
        if let end = rest.firstRange(of: "): ") {
            self.init(status: status, reason: String(rest[..<end.lowerBound]), message: String(rest[end.upperBound...]))
        } else if rest.hasSuffix(")") {
            self.init(status: status, reason: String(rest.dropLast()), message: "")
        } else {
            return nil
        }
    }
}

extension Collection<VolumeHealthCondition> {
    /// All conditions in one text, in this order. A legacy condition is the driver's message alone.
    package var summary: String {
        map { condition in
            let isLegacy = condition.identity == VolumeHealthCondition(abnormalMessage: "").identity
            switch (isLegacy, condition.message) {
            case (true, ""): return "The driver reports an abnormal volume and gives no message"
            case (true, let message): return message
            case (false, ""): return "\(condition.status.rawValue) (\(condition.reason))"
            case (false, let message): return "\(condition.status.rawValue) (\(condition.reason)): \(message)"
            }
        }.joined(separator: "; ")
    }
}
