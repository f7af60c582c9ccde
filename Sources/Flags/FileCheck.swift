// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// What must be there at the start: told at once, rather than after minutes of tries.
enum FileCheck {
    /// The socket itself may come later, with the driver. An address that is no path is not checked.
    static func socketDirectoryExists(address: String) throws(UsageError) {
        guard let path = socketPath(of: address) else { return }
        let directory = directory(of: path)
        guard let isDirectory = isDirectory(directory) else {
            throw UsageError(message: "--csi-address: there is no directory \(directory): \(reason())")
        }
        guard isDirectory else {
            throw UsageError(message: "--csi-address: \(directory) is not a directory")
        }
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

    /// nil when `address` is not a path on this host.
    private static func socketPath(of address: String) -> Substring? {
        if address.hasPrefix("/") { return address[...] }
        if address.hasPrefix("unix://") { return address.dropFirst("unix://".count) }
        if address.hasPrefix("unix:") { return address.dropFirst("unix:".count) }
        return nil
    }

    private static func directory(of path: Substring) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func reason() -> String {
        // Safe: the texts of the errors of stat(2) and access(2) are constants of glibc.
        unsafe String(cString: strerror(errno))
    }
}
