// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import VolumeHealth

/// Names for our events, made from what they say and of whom (rule 8).
///
/// The same fact has the same name whoever reports it: a retry after a lost answer, a restarted process or another
/// leader finds the event there and raises its count instead of adding a second one. And what was reported can be read
/// back: the name's last eight digits are the fingerprint of what the event says (rule 9).
package enum EventName {
    /// `CLAIM.HASH`, at most 253 bytes, unique for component, claim uid, reason and fingerprint.
    package static func make(claim: Claim, component: String, reason: String, fingerprint: Fingerprint) -> String {
        let suffix =
            "." + digits(subject(claimUID: claim.uid, component: component, reason: reason)) + digits(fingerprint)
        // Claim names are DNS subdomains of up to 253 ASCII characters, so are event names.
        var prefix = claim.key.name.prefix(253 - suffix.count)
        while prefix.last == "-" || prefix.last == "." { prefix.removeLast() }
        return prefix + suffix
    }

    /// `DRIVER.HASH`: of an event on a CSIDriver, unique for component and reason.
    static func make(onDriver name: String, component: String, reason: String) -> String {
        // A CSIDriver's name is a DNS subdomain of at most 63 characters.
        name.prefix(200) + "." + digits(Fingerprint([component, name, reason]))
    }

    /// The fingerprint in a name that ``make(claim:component:reason:fingerprint:)`` made; nil for another name.
    package static func fingerprint(
        in name: String,
        claimUID: String,
        component: String,
        reason: String
    ) -> Fingerprint? {
        let suffix = name.suffix(17)
        guard suffix.first == ".", let value = UInt32(suffix.suffix(8), radix: 16) else { return nil }
        let subject = digits(subject(claimUID: claimUID, component: component, reason: reason))
        guard suffix.dropFirst().prefix(8) == subject, digits(Fingerprint(rawValue: value)) == suffix.suffix(8) else {
            return nil
        }
        return Fingerprint(rawValue: value)
    }

    private static func subject(claimUID: String, component: String, reason: String) -> Fingerprint {
        Fingerprint([component, claimUID, reason])
    }

    private static func digits(_ fingerprint: Fingerprint) -> String {
        let digits = String(fingerprint.rawValue, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
