// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// The kubelet's directory of registration sockets.
///
/// Only sockets count, at any depth and with any name but one that begins with a dot, as for the kubelet. Symbolic
/// links are not followed.
///
/// Source: Kubernetes, pkg/kubelet/pluginmanager/pluginwatcher/plugin_watcher.go.
struct RegistrationDirectory: Sendable {
    /// Far more than any node has drivers.
    static let maximumSockets = 128
    /// Of all directories together.
    static let maximumEntries = 10_000
    static let maximumDepth = 8

    let path: String

    /// Reads the directory, and those in it.
    func scan() -> RegistrationScan {
        var walk = Walk()
        walk.visit(path, depth: 0)
        walk.scan.sockets.sort { $0.path < $1.path }
        if walk.scan.sockets.count > Self.maximumSockets {
            walk.scan.isTruncated = true
            walk.scan.sockets.removeLast(walk.scan.sockets.count - Self.maximumSockets)
        }
        return walk.scan
    }
}

private struct Walk {
    var scan = RegistrationScan()
    private var entries = 0

    mutating func visit(_ directory: String, depth: Int) {
        guard let stream = unsafe opendir(directory) else {
            // A directory below may have been removed since its parent was read.
            if depth == 0 || errno != ENOENT { fail(directory) }
            return
        }
        defer { unsafe _ = closedir(stream) }
        var directories: [String] = []
        while true {
            // readdir(3): NULL is the end, or an error where errno has changed.
            errno = 0
            guard let entry = unsafe readdir(stream) else {
                if errno != 0 { fail(directory) }
                break
            }
            let name = unsafe Self.name(of: entry)
            guard !name.hasPrefix(".") else { continue }
            guard entries < RegistrationDirectory.maximumEntries else {
                scan.isTruncated = true
                break
            }
            entries += 1
            let path = directory + "/" + name
            var status = stat()
            guard unsafe lstat(path, &status) == 0 else {
                if errno != ENOENT { fail(directory) }
                continue
            }
            switch status.st_mode & S_IFMT {
            case S_IFSOCK: scan.sockets.append(RegistrationSocket(path: path, file: SocketIdentity(status)))
            case S_IFDIR: directories.append(path)
            default: break
            }
        }
        guard depth < RegistrationDirectory.maximumDepth else {
            if !directories.isEmpty { scan.isTruncated = true }
            return
        }
        for directory in directories { visit(directory, depth: depth + 1) }
    }

    private mutating func fail(_ directory: String) {
        // strerror(3) is not thread-safe, but the messages of these errors are constants of glibc.
        let reason = unsafe String(cString: strerror(errno))
        guard scan.failures.last?.directory != directory else { return }
        scan.failures.append(RegistrationScan.Failure(directory: directory, reason: reason))
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
        // readdir(3): d_name ends with a zero, within the entry.
        let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
        let name = unsafe UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
        return unsafe String(cString: name)
    }
}
