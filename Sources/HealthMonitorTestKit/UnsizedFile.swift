// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import Foundation

/// Reads files whose size is not known before they are read, such as those of /proc. `FileManager` and `String` read only
/// the first 4 KB of them.
package enum UnsizedFile {
    package static func contents(of path: String) throws -> Data {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        return try file.readToEnd() ?? Data()
    }
}
