// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import Glibc

/// What is checked at the start, rather than found out after minutes of retries.
enum FileCheck {
    /// What can never become the driver's socket is refused; the socket itself may come later, with the driver.
    static func isSocketAddress(_ address: String) throws(UsageError) {
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
            throw UsageError(message: "--csi-address: there is no directory \(directory): \(reason())")
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

    /// Of an address that is no path of a Unix domain socket.
    private static func problem(ofAddress address: String) -> String {
        if address.isEmpty { return "the address is empty: write the path of a socket, such as /run/csi/socket" }
        if address.hasPrefix("unix:") {
            return "\"\(address)\" has no absolute path: write unix:///run/csi/socket or /run/csi/socket"
        }
        if address.contains(":") {
            return
                "\"\(address)\" is not a Unix domain socket, other addresses are not supported: write a path such as "
                + "/run/csi/socket"
        }
        return "\"\(address)\" is a relative path: write an absolute one, such as /run/csi/socket"
    }

    static func isReadable(kubeconfig path: String) throws(UsageError) {
        // Safe: the string is only read, and only during the call.
        guard let isDirectory = isDirectory(path), unsafe access(path, R_OK) == 0 else {
            throw UsageError(message: "--kubeconfig: cannot read \(path): \(reason())")
        }
        guard !isDirectory else {
            throw UsageError(message: "--kubeconfig: \(path) is a directory, not a file")
        }
    }

    /// nil, and `errno`, when there is nothing at `path`.
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
        // Safe: the texts of the errors of stat(2) and access(2) are constants of glibc.
        unsafe String(cString: strerror(errno))
    }
}
