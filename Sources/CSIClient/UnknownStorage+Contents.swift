// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import SwiftProtobuf

extension UnknownStorage {
    /// Whether there is a field of this number.
    ///
    /// Source: https://protobuf.dev/programming-guides/encoding; the fields have been parsed once already.
    func contain(fieldNumber: UInt64) -> Bool {
        var bytes = Array(data)[...]
        var groups = 0
        while let tag = Self.varint(&bytes) {
            if tag >> 3 == fieldNumber, groups == 0 { return true }
            switch tag & 7 {
            case 0: _ = Self.varint(&bytes)
            case 1: bytes = bytes.dropFirst(8)
            case 2:
                let length = Self.varint(&bytes) ?? 0
                bytes = bytes.dropFirst(Int(clamping: length))
            case 5: bytes = bytes.dropFirst(4)
            case 3: groups += 1
            default: groups -= 1
            }
        }
        return false
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
