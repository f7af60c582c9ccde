// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Why the container ended, where `kubectl describe pod` shows it.
///
/// Source: Kubernetes, "Determine the Reason for Pod Failure".
enum TerminationMessage {
    /// The default of `terminationMessagePath`.
    static let path = "/dev/termination-log"
    /// The kubelet reads no more.
    static let maximumBytes = 4096

    /// Replaces the file's content by one line. Does nothing where the file is missing, which it is outside of a
    /// container, or cannot be written.
    static func write(_ message: String, to path: String = path) {
        // O_NOFOLLOW: the file is the kubelet's mount, or none.
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        let bytes = Array(line(message).utf8)
        // Safe: the buffer is only read, and only during the call.
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    /// The message without line feeds, cut between characters after at most ``maximumBytes``.
    static func line(_ message: String) -> String {
        var line = ""
        var count = 0
        for character in message {
            let next = character.isNewline ? " " : character
            count += next.utf8.count
            guard count <= maximumBytes else { break }
            line.append(next)
        }
        return line
    }
}
