// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Something that holds of a claim, and that people are to know.
///
/// Two states are the same news when their fingerprints are equal; they may still differ in what they say in detail.
package protocol Reportable: Sendable, Equatable {
    /// Nothing is wrong. Reporting it is attemptID a recovery.
    var isClear: Bool { get }
    /// Names the news, the same in every process and version: what another process reported is recognised by it (rule 9).
    var fingerprint: Fingerprint { get }
}

/// A short stable name for what was reported, kept where it was reported: in the name of an event.
package struct Fingerprint: Sendable, Hashable {
    /// 32 bits, of which all count.
    package var rawValue: UInt32

    /// A fingerprint that was kept somewhere.
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Of what was reported in a form that does not say all of it: compared with any other, something else.
    static let unknown = Fingerprint(rawValue: 0)

    /// The fingerprint of these words in this order: FNV-1a, which unlike `Hasher` is stable.
    package init(_ words: [String]) {
        rawValue = words.joined(separator: "\n").utf8.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}

/// Something to be reported on a claim.
package struct PendingReport<Key: Hashable & Sendable, State: Reportable>: Sendable, Equatable {
    /// What it is about, among all that is reported on this claim.
    package var key: Key
    /// Whom to report.
    package var claim: Claim
    /// What is so; a clear state says that it has passed.
    package var state: State
    /// Since when it is so, on the clock of the core; a changed message alone does not move it.
    package var since: Duration
    /// Why now.
    package var cause: ReportCause
    /// Whether the last report on it is this process's.
    package var isOwn: Bool
    /// Which attemptID this is: the same number as an earlier one of this queue when that said the same and its answer was
    /// lost, so that it may have come through.
    package var attemptID: UInt64
    /// Which one of its queue this is: outcomes of others are not taken for its own.
    var number: UInt64
}

/// Why something is reported now.
package enum ReportCause: Sendable, Hashable {
    /// It is other news than what was reported last.
    case transition
    /// The same lasts, or its details changed.
    case refresh
}
