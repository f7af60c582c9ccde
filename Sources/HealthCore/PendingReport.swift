// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A state that is reported on an object of the API server.
///
/// A change between two states with equal fingerprints is no transition; they may still differ in details, such as
/// messages.
package protocol Reportable: Sendable, Equatable {
    /// Whether the object is healthy. To report a clear state is to report a recovery.
    var isClear: Bool { get }
    /// Equal for equal states in every process and version, so that a state that another process reported is recognized
    /// (rule 9).
    var fingerprint: Fingerprint { get }
}

/// An object of the API server on which something is reported.
package protocol ReportTarget: Sendable, Equatable {
    var namespace: String { get }
}

/// A short, stable hash of a state. The name of an event contains the fingerprint of the state that it reports.
package struct Fingerprint: Sendable, Hashable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The fingerprint of a report whose state is not fully known: it counts as different from that of any state.
    package static let unknown = Fingerprint(rawValue: 0)

    /// The fingerprint of these words in this order, by FNV-1a, which unlike `Hasher` is stable.
    package init(_ words: [String]) {
        rawValue = words.joined(separator: "\n").utf8.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}

/// An item of a ``ReportQueue``: what to report on which object.
package struct PendingReport<Key: Hashable & Sendable, State: Reportable, Target: ReportTarget>: Sendable, Equatable {
    package var key: Key
    /// The object to report on, as it was when the report was handed out.
    package var target: Target
    /// The current state; a clear one reports a recovery.
    package var state: State
    /// Since when the state has this fingerprint, on the clock of the core.
    package var since: Duration
    /// When the report became due, on the same clock.
    package var due: Duration
    package var cause: ReportCause
    /// Whether the last report of this key was made by this process.
    package var isOwn: Bool
    /// The count of the event that a refresh raises; nil: not known.
    package var count: Int?
    /// Equal for all attempts to report the same state whose responses were lost: the API server may have applied one
    /// of them. Unique in a queue otherwise.
    package var attemptID: UInt64
    /// Unique in a queue: only the outcome of the report under way counts.
    var number: UInt64
}

/// Why something is reported now.
package enum ReportCause: Sendable, Hashable {
    /// The state differs from the one that was reported last.
    case transition
    /// The state lasts, or only its details have changed.
    case refresh
}
