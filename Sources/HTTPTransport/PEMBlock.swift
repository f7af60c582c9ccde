// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials

/// A block of a PEM text, as Go's encoding/pem reads it: lines end with LF or CRLF, text around the blocks is ignored.
///
/// Source: RFC 7468; encoding/pem/pem.go.
struct PEMBlock: Sendable, Hashable {
    /// `CERTIFICATE` of `-----BEGIN CERTIFICATE-----`.
    let label: String
    /// `Proc-Type: 4,ENCRYPTED` and others, before the base64.
    private(set) var headers: [String] = []
    /// The decoded bytes; nil for invalid base64, and when the block has no end line.
    private(set) var contents: [UInt8]?

    /// The blocks of a text, in order.
    static func blocks(of text: [UInt8]) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        // Of the last block; nil after its end line.
        var base64: [UInt8]?
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let line = line[..<((line.lastIndex { !isWhitespace($0) } ?? line.startIndex - 1) + 1)]
            if let label = label(in: line, after: "-----BEGIN ") {
                blocks.append(PEMBlock(label: label))
                base64 = []
            } else if let encoded = base64, let block = blocks.indices.last {
                if let label = label(in: line, after: "-----END ") {
                    if label == blocks[block].label { blocks[block].contents = decoded(encoded) }
                    base64 = nil
                } else if encoded.isEmpty, line.contains(UInt8(ascii: ":")) {
                    blocks[block].headers.append(String(decoding: line, as: UTF8.self))
                } else {
                    base64?.append(contentsOf: line)
                }
            }
        }
        return blocks
    }

    /// The label of a begin line or end line.
    private static func label(in line: ArraySlice<UInt8>, after prefix: String) -> String? {
        guard line.starts(with: prefix.utf8) else { return nil }
        let label = line.dropFirst(prefix.utf8.count)
        guard label.reversed().starts(with: "-----".utf8) else { return nil }
        return String(decoding: label.dropLast(5), as: UTF8.self)
    }

    private static func decoded(_ base64: [UInt8]) -> [UInt8]? {
        Data(base64Encoded: Data(base64.filter { !isWhitespace($0) })).map { Array($0) }
    }

    private static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
