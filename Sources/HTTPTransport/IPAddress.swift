// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) equals the IPv4 address, as in Go.
struct IPAddress: Sendable, Hashable {
    /// 4 or 16 bytes.
    private let bytes: [UInt8]

    /// - Returns: nil for an invalid address, and for one with a zone.
    init?(_ text: some StringProtocol) {
        guard let bytes = Self.parse(String(text)) else { return nil }
        self.init(bytes)
    }

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes.count == 16 && bytes.starts(with: Self.mappedPrefix) ? Array(bytes.dropFirst(12)) : bytes
    }

    private static let mappedPrefix = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    private static func parse(_ text: String) -> [UInt8]? {
        // inet_pton(3): writes 4 or 16 bytes, and accepts only decimal numbers without leading zeros.
        var bytes = [UInt8](repeating: 0, count: 16)
        if unsafe inet_pton(AF_INET6, text, &bytes) == 1 { return bytes }
        return unsafe inet_pton(AF_INET, text, &bytes) == 1 ? Array(bytes[..<4]) : nil
    }

    var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// An address block in CIDR notation: `10.0.0.0/8`.
    struct Network: Sendable, Hashable {
        private let bytes: [UInt8]
        private let length: Int

        /// - Returns: nil for invalid CIDR notation.
        init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, let bytes = IPAddress.parse(String(parts[0])),
                parts[1].allSatisfy({ ("0"..."9").contains($0) }), let length = Int(parts[1]), length <= bytes.count * 8
            else { return nil }
            let isMapped = bytes.count == 16 && bytes.starts(with: IPAddress.mappedPrefix) && length >= 96
            self.bytes = isMapped ? Array(bytes.dropFirst(12)) : bytes
            self.length = isMapped ? length - 96 : length
        }

        func contains(_ address: IPAddress) -> Bool {
            guard bytes.count == address.bytes.count else { return false }
            let whole = length / 8
            guard bytes[..<whole] == address.bytes[..<whole] else { return false }
            let rest = length % 8
            return rest == 0 || (bytes[whole] ^ address.bytes[whole]) >> (8 - rest) == 0
        }
    }
}
