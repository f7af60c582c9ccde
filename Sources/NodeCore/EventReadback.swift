// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What an earlier process has reported on a volume, as its event shows (rule 9).
package enum ReadbackResult: Sendable, Hashable {
    /// The last event on the volume reports this state.
    ///
    /// - fingerprint: of the reported HealthCore/VolumeState, from the event's annotation.
    /// - reportedAt: when it was last recorded, on the clock of the core; may be before its origin.
    /// - since: when it was first recorded; nil: unknown.
    case reported(Fingerprint, reportedAt: Duration, since: Duration?)
    /// There is no event, or the last one reports a recovery.
    case nothing
    /// The request failed. After three attempts the volume is reported without.
    case failed
    /// There is no connection to the API server, or it is overloaded, so that nothing could be recorded either: the
    /// attempt does not count.
    case unreachable
    /// RBAC forbids the request: the volume is reported without.
    case forbidden
}

/// What the reader of events does next.
package enum ReadbackStep: Sendable, Hashable {
    /// Read the events of this volume by their names, then call `complete(readback:_:at:)`.
    case read(NodeVolume)
    /// Nothing is due before this moment; nil: before a driver responds.
    case wait(until: Duration?)
}
