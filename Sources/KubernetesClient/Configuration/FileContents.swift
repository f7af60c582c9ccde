// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Reads a small file of at most `limit` bytes.
package typealias FileReader = (_ path: String, _ limit: Int) throws(KubernetesConfigurationError) -> [UInt8]

/// The ``FileReader`` of the file system.
///
/// - Throws: `unreadableFile`, which names the file and the system's reason.
package func contents(ofFile path: String, limit: Int) throws(KubernetesConfigurationError) -> [UInt8] {
    // open(2) takes a C string, which lives as long as the call.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }
    var contents: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while true {
        // read(2) writes at most `count` bytes, which the buffer has.
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            throw unreadable(path, errno)
        }
        if count == 0 { return contents }
        guard contents.count + count <= limit else {
            throw KubernetesConfigurationError(
                code: .unreadableFile,
                message: "\(path) is larger than \(limit) bytes: is it the right file?"
            )
        }
        contents.append(contentsOf: chunk[..<count])
    }
}

private func unreadable(_ path: String, _ number: CInt) -> KubernetesConfigurationError {
    // strerror's text stays valid for this thread until its next call; String copies it.
    let reason = unsafe String(cString: strerror(number))
    return KubernetesConfigurationError(code: .unreadableFile, message: "cannot read \(path): \(reason)")
}
