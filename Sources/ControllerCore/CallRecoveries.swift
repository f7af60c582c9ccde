// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Compares the recoveries that calls for single volumes have shown with the lists that follow.
///
/// A driver whose call returns only healthy volumes would otherwise make every unhealthy volume recover between two
/// lists. One refuted recovery proves nothing, because the volume may have become unhealthy again. The calls for a
/// volume contradict the lists when its recovery was refuted ``tolerance`` times in a row; the calls for any volume do
/// when the recoveries of that many different volumes were refuted, and none was confirmed in between.
struct CallRecoveries<Key: Hashable & Sendable>: Sendable {
    /// What a list shows about the calls before it.
    enum Verdict: Sendable, Equatable {
        /// The calls for these volumes contradict the lists.
        case contradicted([Key])
        /// The calls contradict the lists, whichever the volume.
        case allContradicted
    }

    static var tolerance: Int { 3 }

    /// Volumes that the last list showed as unhealthy and a call after it as healthy.
    private var recovered: Set<Key> = []
    /// Volumes whose recovery a list has refuted, since a list confirmed one.
    private var refutedInARow: Set<Key> = []
    /// How often in a row lists have refuted the recovery of a volume.
    private var refutations: [Key: Int] = [:]
    /// Whether the calls for any volume contradict the lists.
    private(set) var isContradicted = false

    /// A call has shown an unhealthy volume as healthy.
    mutating func recovered(_ key: Key) { recovered.insert(key) }

    /// A call has shown the volume as unhealthy: there is no recovery for the next list to refute.
    mutating func relapsed(_ key: Key) {
        if !recovered.isEmpty { recovered.remove(key) }
    }

    /// A list is complete.
    ///
    /// - Parameter isUnhealthy: whether the list shows the volume as unhealthy.
    mutating func compare(isUnhealthy: (Key) -> Bool) -> Verdict {
        guard !recovered.isEmpty else { return .contradicted([]) }
        let refuted = recovered.filter(isUnhealthy)
        refutedInARow = refuted.count == recovered.count ? refutedInARow.union(refuted) : []
        for key in recovered { refutations[key] = refuted.contains(key) ? refutations[key, default: 0] + 1 : nil }
        recovered = []
        let contradicted = refuted.filter(isContradicted)
        let areAll = refutedInARow.count >= Self.tolerance
        if areAll || !contradicted.isEmpty { isContradicted = true }
        return areAll ? .allContradicted : .contradicted(Array(contradicted))
    }

    /// Whether the calls for this volume contradict the lists.
    func isContradicted(_ key: Key) -> Bool { refutations[key, default: 0] >= Self.tolerance }
}
