// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Where `status` writes: results to standard output, and what a person should know beside them to standard error.
struct StatusSink: Sendable {
    /// The reader of standard output has gone.
    struct Closed: Error {}

    /// Standard output cannot be written, because of a full disk for example.
    struct WriteError: Error, CustomStringConvertible {
        var code: Int32

        var description: String {
            // strerror(3) is not thread-safe, but the messages of write(2)'s errors are constants of glibc.
            "cannot write to standard output: \(unsafe String(cString: strerror(code)))"
        }
    }

    var output: @Sendable (String) throws -> Void
    var errors: @Sendable (String) -> Void

    /// Standard output and standard error of this process.
    static let process = StatusSink(
        output: { text in
            switch write(text, to: STDOUT_FILENO) {
            case nil: break
            case EPIPE: throw Closed()
            case let error?: throw WriteError(code: error)
            }
        },
        errors: { text in _ = write(text, to: STDERR_FILENO) }
    )

    /// Returns the error number if it cannot be written (write(2)).
    private static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // Safe: the buffer is only read, and only during the call.
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count < 0 else {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: break
            case EAGAIN:
                // A pipe that another process has made non-blocking.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&wait, 1, -1)
            default: return errno
            }
        }
        return nil
    }
}

enum Terminal {
    /// Whether standard output is a terminal that shows colors, and no setting forbids them (https://no-color.org).
    static var isColored: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessEnvironment.variable("NO_COLOR") == nil
            && ProcessEnvironment.variable("TERM") != "dumb"
    }
}
