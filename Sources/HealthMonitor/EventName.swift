// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import VolumeHealth

/// Names for our events, made from what they say and of whom.
///
/// The same fact has the same name whoever tells it: a retry after a lost answer, a restarted process or another
/// leader finds the event there and raises its count instead of adding a second one.
enum EventName {
    /// `CLAIM.HASH`, at most 253 bytes, unique for component, claim uid, reason and the set of conditions.
    static func make(claim: Claim, component: String, reason: String, conditions: [VolumeHealthCondition]) -> String {
        let identities = conditions.map { "\($0.status.rawValue)/\($0.reason)" }.sorted()
        let hash = fnv1a(([component, claim.uid, reason] + identities).joined(separator: "\n"))
        let digits = String(hash, radix: 16)
        let suffix = "." + String(repeating: "0", count: 16 - digits.count) + digits
        // Claim names are DNS subdomains of up to 253 ASCII characters, so are event names.
        var prefix = claim.key.name.prefix(253 - suffix.count)
        while prefix.last == "-" || prefix.last == "." { prefix.removeLast() }
        return prefix + suffix
    }

    /// FNV-1a, 64 bits: stable across processes and versions, which `Hasher` is not.
    private static func fnv1a(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
