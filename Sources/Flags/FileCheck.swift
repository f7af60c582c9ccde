// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import Glibc

/// Checks of files at start, so that an invalid path fails at once instead of being retried.
enum FileCheck {
    /// Throws if `address` can never become the driver's socket. The socket may still be missing: the driver creates
    /// it.
    static func checkSocketAddress(_ address: String) throws(UsageError) {
        guard let path = SocketFile.path(of: address) else {
            throw UsageError(message: "--csi-address: \(problem(ofAddress: address))")
        }
        do {
            try checkTarget(address)
        } catch {
            throw UsageError(message: "--csi-address: \(error.status.message)")
        }
        let directory = directory(of: path)
        guard let isDirectory = isDirectory(directory) else {
            throw UsageError(message: "--csi-address: cannot access \(directory): \(reason())")
        }
        guard isDirectory else {
            throw UsageError(message: "--csi-address: \(directory) is not a directory")
        }
        let file = SocketFile(path: path)
        if case .notSocket = file.state, let problem = file.problem {
            throw UsageError(
                message: "--csi-address: \(problem): write the path of the driver's socket, such as /run/csi/socket"
            )
        }
    }

    /// Why `address` is not the path of a Unix domain socket.
    private static func problem(ofAddress address: String) -> String {
        if address.isEmpty { return "the address is empty: write the path of a socket, such as /run/csi/socket" }
        if address.hasPrefix("unix:") {
            return "\"\(address)\" has no absolute path: write unix:///run/csi/socket or /run/csi/socket"
        }
        if address.contains(":") {
            return
                "\"\(address)\" is not supported, only Unix domain sockets are: write a path, such as /run/csi/socket"
        }
        return "\"\(address)\" is a relative path: write an absolute one, such as /run/csi/socket"
    }

    static func checkReadable(kubeconfig path: String) throws(UsageError) {
        // Safe: the string is only read, and only during the call.
        guard let isDirectory = isDirectory(path), unsafe access(path, R_OK) == 0 else {
            throw UsageError(message: "--kubeconfig: cannot read \(path): \(reason())")
        }
        guard !isDirectory else {
            throw UsageError(message: "--kubeconfig: \(path) is a directory, not a file")
        }
    }

    /// nil, with `errno` set, if stat(2) fails.
    private static func isDirectory(_ path: String) -> Bool? {
        var status = stat()
        // Safe: the pointer is to a local variable.
        guard unsafe stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func reason() -> String {
        // Safe: strerror(3) returns constants of glibc for the errors of stat(2) and access(2).
        unsafe String(cString: strerror(errno))
    }
}
