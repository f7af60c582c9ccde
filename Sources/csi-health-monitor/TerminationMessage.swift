// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// The container's termination message, which `kubectl describe pod` shows.
///
/// https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
enum TerminationMessage {
    /// The default of `terminationMessagePath`.
    static let path = "/dev/termination-log"
    /// The kubelet truncates longer messages.
    static let maximumBytes = 4096

    /// Replaces the file's content by one line. Does nothing if the file cannot be written or does not exist, as
    /// outside of a container.
    static func write(_ message: String, to path: String = path) {
        // O_NOFOLLOW: the file is a mount of the kubelet, never a link.
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        let bytes = Array(line(message).utf8)
        // Safe: the buffer is only read, and only during the call.
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    /// The message on one line, truncated at a character boundary to at most ``maximumBytes`` of UTF-8.
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
