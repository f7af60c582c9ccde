// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// A call to a driver for the health of one volume. One call per volume id is under way at a time.
package struct NodeProbe: Sendable, Hashable {
    package var key: NodeVolumeKey
    package var driver: String
    /// `volume_id`.
    package var volumeHandle: String
    /// Never `none`.
    package var strategy: NodeProbeStrategy
    /// `volume_publish_path` or `volume_path`.
    package var publishPath: String
    /// `staging_target_path`; empty: it is not sent. The kubelet never sends it to NodeGetVolumeStats, and drivers are
    /// tested with the kubelet.
    package var stagingPath: String
    /// Which connection of the driver the call belongs to.
    var connection: Int
}

/// The result of a NodeProbe.
package enum NodeProbeOutcome: Sendable, Hashable {
    /// The driver responded with the health of the volume. A legacy abnormal condition is
    /// `VolumeHealthCondition(abnormalMessage:)`.
    case health(VolumeHealthReport)
    /// NodeGetVolumeStats succeeded without a volume condition: the volume is found, and its health stays as it is.
    case noCondition
    case failed(NodeProbeFailure)
}

/// Why a call failed, as far as it matters. No failure changes a volume's health (rule 1), except a confirmed
/// `notFound` (rule 5).
///
/// | Code | Effect |
/// |---|---|
/// | NOT_FOUND | repeated after 5 seconds; then, if the volume was found before, Inaccessible / VolumeNotFound |
/// | INVALID_ARGUMENT, INTERNAL | from some drivers, that a path does not exist: the root directory may be wrong |
/// | DEADLINE_EXCEEDED | the volume is probed less and less often, down to every 30 minutes |
/// | ABORTED | another call for the volume is under way, such as the kubelet's: repeated once, after 1 to 3 seconds |
/// | UNIMPLEMENTED, before any other response | no further call before the capabilities are read again |
/// | UNAVAILABLE | the connection broke, which says nothing of the volume; twice on one connection: as others |
/// | others | the volume is probed in its next slot, and does not count as healthy meanwhile |
package enum NodeProbeFailure: Sendable, Hashable {
    case notFound
    case invalidArgument
    case `internal`
    case deadlineExceeded
    case aborted
    case unimplemented
    case unavailable
    /// Any other code, or a response that cannot be used.
    case other

    /// Whether the driver responded for certain.
    var isResponse: Bool { self != .deadlineExceeded && self != .unavailable }

    /// Whether the cause may be a path that does not exist.
    var mayBePath: Bool { self == .notFound || self == .invalidArgument || self == .internal }
}

/// A change of a driver that is worth a log line. Each is returned once.
package enum NodeDriverChange: Sendable, Hashable {
    /// Calls for several volumes, or for its identity, had no response: one call per interval is made until one has a
    /// response.
    case startedHanging
    /// It responds again.
    case stoppedHanging
    /// It does not implement the RPC that its capabilities promise: read them again, then call
    /// `capabilitiesRead(_:_:at:)`. No call for volumes is made before.
    case capabilitiesOutdated
    case problem(NodeDriverProblem)
}

/// Why the responses of a driver cannot be used.
package enum NodeDriverProblem: Sendable, Hashable {
    /// The driver finds no volume at the paths that it is given.
    case pathsNotFound(kubeletRoot: String)

    /// One sentence for users.
    package var message: String {
        switch self {
        case .pathsNotFound(let root):
            "The driver finds none of its volumes below \(root); set --kubelet-root-path to the kubelet's --root-dir"
        }
    }
}
