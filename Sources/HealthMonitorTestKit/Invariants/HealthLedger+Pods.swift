// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The volumes of pods, which the node side reports on.

extension HealthLedger {
    /// Sets the true health of a pod's volume from now on; for the first time when the pod has started.
    ///
    /// - Parameters:
    ///   - text: the message of the pod's event, which begins with `Volume NAME`; nil for a healthy volume.
    ///   - volume: its name in `spec.volumes`; if there are several, the first.
    ///   - name: the pod's name.
    package mutating func setHealth(
        _ text: String?,
        podUID: String,
        volume: String,
        name: String,
        at now: Duration
    ) {
        let key = Self.subject(podUID: podUID, volume: volume)
        setHealth(text, ofSubject: key, name: "\(volume) of \(name)", at: now)
    }

    /// Records that a pod has ended, terminates or was replaced: what was true may still be reported once, and nothing
    /// else ever, no recovery either.
    package mutating func end(podUID: String, at now: Duration) {
        for (key, subject) in subjects where key.hasPrefix("\(podUID)/") && subject.ended == nil {
            subjects[key]?.ended = now
        }
    }

    static func subject(podUID: String, volume: String) -> String { "\(podUID)/\(volume)" }

    /// The volume in a message such as `Volume data (claim pvc): text`; empty when there is none.
    static func volume(in message: String) -> String {
        guard message.hasPrefix("Volume ") else { return "" }
        return String(message.dropFirst("Volume ".count).prefix { !" ,:".contains($0) })
    }
}
