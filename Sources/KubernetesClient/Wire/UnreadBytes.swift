// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What has arrived of a body and was not decoded yet. What was decoded goes when the next bytes come.
struct UnreadBytes {
    private(set) var bytes: [UInt8] = []
    /// The first byte that was not decoded.
    var start = 0

    var isEmpty: Bool { start == bytes.count }

    /// Takes the next bytes of the body, cut anywhere.
    mutating func append(_ more: [UInt8]) {
        if isEmpty {
            bytes = more
        } else {
            bytes.removeFirst(start)
            bytes.append(contentsOf: more)
        }
        start = 0
    }
}
