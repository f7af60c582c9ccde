// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Where `status` writes: results to standard output, and what a person should know beside them to standard error.
struct StatusSink: Sendable {
    /// The reader of standard output has gone.
    struct Closed: Error {}

    var output: @Sendable (String) throws -> Void
    var errors: @Sendable (String) -> Void

    /// Standard output and standard error of this process.
    static let process = StatusSink(
        output: { text in guard write(text, to: STDOUT_FILENO) else { throw Closed() } },
        errors: { text in _ = write(text, to: STDERR_FILENO) }
    )

    /// Returns false if it cannot be written.
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // Safe: the buffer is only read, and only during the call.
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                guard errno == EINTR else { return false }
            } else {
                rest = rest.dropFirst(count)
            }
        }
        return true
    }
}

enum Terminal {
    /// Whether standard output is a terminal that shows colors, and no setting forbids them (https://no-color.org).
    static var isColored: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessEnvironment.variable("NO_COLOR") == nil
            && ProcessEnvironment.variable("TERM") != "dumb"
    }
}
