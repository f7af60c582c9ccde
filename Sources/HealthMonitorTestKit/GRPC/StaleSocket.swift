// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// A socket's file without a process that listens on it, as a killed server leaves it: connections are refused.
package enum StaleSocket {
    /// The system call failed.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Creates the file.
    ///
    /// - Parameter path: at most 107 bytes; nothing may exist there.
    package static func create(at path: String) throws(Failure) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket(2): errno \(errno)") }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let size = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < size else { throw Failure(description: "\(path) is longer than \(size - 1) bytes") }
        let result = unsafe withUnsafeMutablePointer(to: &address) { address in
            unsafe withUnsafeMutableBytes(of: &address.pointee.sun_path) { unsafe $0.copyBytes(from: bytes) }
            return unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw Failure(description: "bind(2) to \(path): errno \(errno)") }
    }
}
