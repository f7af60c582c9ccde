// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// What exists at the path of a Unix domain socket: the reason why a connection fails, which gRPC core's message lacks.
///
/// Source: unix(7), "Pathname socket ownership and permissions": connect(2) needs write permission on the socket and
/// search permission on its directories.
package struct SocketFile: Sendable, Equatable {
    /// A user and a group, by number.
    package struct Owner: Sendable, Equatable {
        package var user: UInt32
        package var group: UInt32

        package init(user: UInt32, group: UInt32) {
            self.user = user
            self.group = group
        }
    }

    package enum State: Sendable, Equatable {
        /// A socket to which this process may connect.
        case permitted
        case missing
        /// A socket without write permission for this process; `mode` is the permission bits.
        case forbidden(mode: UInt32, owner: Owner)
        /// Another kind of file, such as "a directory".
        case notSocket(kind: String)
        /// stat(2) failed, with the system's message.
        case unknown(String)
    }

    package var path: String
    package var state: State
    /// The user and group of this process.
    package var process: Owner

    package init(path: String, state: State, process: Owner) {
        self.path = path
        self.state = state
        self.process = process
    }

    /// Reads the file system, which may change at any time.
    package init(path: String) {
        self.init(path: path, state: Self.state(of: path), process: Owner(user: geteuid(), group: getegid()))
    }

    /// The path of an address that gRPC takes for a Unix domain socket: `/run/csi/socket`, `unix:///run/csi/socket`,
    /// `unix:socket`; nil for any other address.
    package static func path(of address: String) -> String? {
        if address.hasPrefix("/") { return address }
        if address.hasPrefix("unix:///") { return String(address.dropFirst("unix://".count)) }
        if address.hasPrefix("unix://") { return nil }
        if address.hasPrefix("unix:"), address != "unix:" { return String(address.dropFirst("unix:".count)) }
        return nil
    }

    /// Why this process cannot connect, in one sentence; nil when the file is not the reason.
    package var problem: String? {
        switch state {
        case .permitted: nil
        case .missing: "no socket at \(path) yet"
        case .forbidden(let mode, let owner):
            """
            permission denied: the socket \(path) has mode \(Self.octal(mode)) and owner \(owner.user):\(owner.group), this \
            process is uid \(process.user), gid \(process.group): run it as uid \(owner.user), or have the driver give \
            the socket to a group that both are in
            """
        case .notSocket(let kind): "\(path) is \(kind), not a socket"
        case .unknown(let reason): "cannot look at \(path): \(reason); this process is uid \(process.user)"
        }
    }

    private static func state(of path: String) -> State {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            // strerror(3) is not thread-safe, but the messages of stat(2)'s errors are constants of glibc.
            return errno == ENOENT ? .missing : unsafe .unknown(String(cString: strerror(errno)))
        }
        switch status.st_mode & S_IFMT {
        case S_IFSOCK: break
        case S_IFDIR: return .notSocket(kind: "a directory")
        case S_IFREG: return .notSocket(kind: "a regular file")
        default: return .notSocket(kind: "a device or a pipe")
        }
        guard unsafe faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 else {
            return .forbidden(
                mode: status.st_mode & 0o7777,
                owner: Owner(user: status.st_uid, group: status.st_gid)
            )
        }
        return .permitted
    }

    private static func octal(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
