// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Names of events, derived from what they report on which object (rule 8).
///
/// Every process gives the same fact the same name: a retry after a lost response, a restarted process or another
/// leader finds the event and raises its count instead of creating a second one. What was reported can be read back:
/// the last eight digits of the name are the fingerprint of the state (rule 9).
package enum EventName {
    /// `NAME.HASH`, at most 253 bytes, unique for uid, component, reason and fingerprint.
    ///
    /// - Parameters:
    ///   - object: `metadata.name` of the involved object.
    ///   - uid: its `metadata.uid`.
    package static func make(
        object: String,
        uid: String,
        component: String,
        reason: String,
        fingerprint: Fingerprint
    ) -> String {
        let suffix = "." + digits(subject(uid: uid, component: component, reason: reason)) + digits(fingerprint)
        // Names of claims and pods are DNS subdomains of up to 253 ASCII characters, so are event names.
        var prefix = object.prefix(253 - suffix.count)
        while prefix.last == "-" || prefix.last == "." { prefix.removeLast() }
        return prefix + suffix
    }

    /// `DRIVER.HASH`, for an event on a CSIDriver, unique for component and reason.
    package static func make(onDriver name: String, component: String, reason: String) -> String {
        // A CSIDriver's name is a DNS subdomain of at most 63 characters.
        name.prefix(200) + "." + digits(Fingerprint([component, name, reason]))
    }

    /// `POD.HASH`, at most 253 bytes, for the event on a volume of a pod: unique for the pod's uid, component, reason
    /// and volume.
    ///
    /// Without the fingerprint of the state, so that one GET by this name shows what was reported last, which the
    /// annotation ``fingerprintAnnotation`` says. A list of the events of a node's pods would be a scan of all events.
    ///
    /// - Parameters:
    ///   - pod: `metadata.name` of the pod.
    ///   - uid: its `metadata.uid`.
    ///   - volume: identifies the volume within the pod in every process.
    package static func make(
        pod: String,
        uid: String,
        volume: String,
        component: String,
        reason: String
    ) -> String {
        make(object: pod, uid: uid, component: component, reason: reason, fingerprint: Fingerprint([volume]))
    }

    /// The annotation that holds the fingerprint of the reported state, in hexadecimal digits.
    package static let fingerprintAnnotation = "csi-health-monitor/fingerprint"

    /// The value of ``fingerprintAnnotation``.
    package static func annotation(_ fingerprint: Fingerprint) -> String { digits(fingerprint) }

    /// The fingerprint that ``fingerprintAnnotation`` holds; nil for another text.
    package static func fingerprint(annotation: String) -> Fingerprint? {
        guard let value = UInt32(annotation, radix: 16), digits(Fingerprint(rawValue: value)) == annotation else {
            return nil
        }
        return Fingerprint(rawValue: value)
    }

    /// The fingerprint in a name that ``make(object:uid:component:reason:fingerprint:)`` made; nil for another name.
    package static func fingerprint(
        in name: String,
        uid: String,
        component: String,
        reason: String
    ) -> Fingerprint? {
        let suffix = name.suffix(17)
        guard suffix.first == ".", let value = UInt32(suffix.suffix(8), radix: 16) else { return nil }
        let subject = digits(subject(uid: uid, component: component, reason: reason))
        guard suffix.dropFirst().prefix(8) == subject, digits(Fingerprint(rawValue: value)) == suffix.suffix(8) else {
            return nil
        }
        return Fingerprint(rawValue: value)
    }

    private static func subject(uid: String, component: String, reason: String) -> Fingerprint {
        Fingerprint([component, uid, reason])
    }

    private static func digits(_ fingerprint: Fingerprint) -> String {
        let digits = String(fingerprint.rawValue, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
