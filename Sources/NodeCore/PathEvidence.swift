// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Whether the driver finds volumes at the paths that it is given: if it has found none, and does not find at least
/// two, the paths are suspected.
struct PathEvidence: Sendable {
    private static let suspectAfter = 2
    private var hasFound = false
    /// The ids of volumes that were not found.
    private var notFound: Set<String> = []

    var isSuspect: Bool { !hasFound && notFound.count >= Self.suspectAfter }

    mutating func found() {
        hasFound = true
        notFound = []
    }

    /// - Returns: whether the paths are suspected now, and were not before.
    mutating func didNotFind(_ volumeHandle: String) -> Bool {
        guard !hasFound, !isSuspect else { return false }
        notFound.insert(volumeHandle)
        return isSuspect
    }
}
