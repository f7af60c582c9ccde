// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A registration socket. One that was removed and created again is another one.
struct RegistrationSocket: Sendable, Hashable {
    let path: String
    let file: SocketIdentity

    /// Whether it was created after the other one. Of two with the same time, the path decides.
    func isNewer(than other: RegistrationSocket) -> Bool {
        (file.modified, path) > (other.file.modified, other.path)
    }
}

/// What a walk through the registration directory has found.
struct RegistrationScan: Sendable, Hashable {
    struct Failure: Sendable, Hashable {
        /// The directory that could not be read, as a whole or in part.
        let directory: String
        /// The system's message.
        let reason: String
    }

    /// By path.
    var sockets: [RegistrationSocket] = []
    /// The walk says nothing about what is in these directories.
    var failures: [Failure] = []
    /// Whether there is more than was looked at.
    var isTruncated = false
}
