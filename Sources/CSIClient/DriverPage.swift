// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire

/// A page of a driver's list: a reply to ListVolumes or ControllerListVolumeHealth, which both have entries=1 and
/// next_token=2. It is decoded in parts, so that a reply of many small entries takes little more memory than its bytes.
package struct DriverPage<Item: DriverListItem>: Sendable {
    /// The most entries of a part.
    static var maximumEntries: Int { 1000 }
    /// A part ends with the entry that reaches this size.
    static var maximumBytes: Int { 128 << 10 }

    package struct Part: Sendable {
        /// The entries with a `volume_id`.
        package var items: [Item] = []
        /// How many entries lack the required `volume_id`.
        var entriesWithoutID = 0

        fileprivate var count: Int { items.count + entriesWithoutID }
    }

    /// Empty on the last page.
    package let nextToken: String
    private let bytes: [UInt8]
    private let method: String
    private var reader = WireReader()
    /// Decoded by the initializer.
    private var first: Part?

    /// Decodes next_token and the first part, which for most pages is all.
    ///
    /// - Throws: when the bytes are malformed.
    package init(_ bytes: [UInt8], method: String) throws(CSIError) {
        do {
            nextToken = try Self.nextToken(in: bytes.span)
        } catch {
            throw .unreadable(bytes, method, error)
        }
        self.bytes = bytes
        self.method = method
        first = try read()
    }

    /// The next part; nil after the last one. A page without entries has one empty part.
    ///
    /// - Throws: when an entry is malformed.
    package mutating func next() throws(CSIError) -> Part? {
        if let first {
            self.first = nil
            return first
        }
        return reader.position < bytes.count ? try read() : nil
    }

    private mutating func read() throws(CSIError) -> Part {
        // A copy, because `span` would otherwise overlap with the changes of `self`.
        let bytes = bytes
        let span = bytes.span
        let start = reader.position
        var part = Part()
        do {
            while part.count < Self.maximumEntries, reader.position - start < Self.maximumBytes {
                let here = reader
                guard let field = try reader.next(in: span) else { break }
                guard field.number == 1, let entry = field.message else { continue }
                if part.count > 0, entry.count > Self.maximumBytes {
                    // A large entry is a part of its own: if it is malformed, the others are not lost.
                    reader = here
                    break
                }
                let item = try Item(reading: span.extracting(entry))
                if item.id.isEmpty { part.entriesWithoutID += 1 } else { part.items.append(item) }
            }
        } catch {
            throw .unreadable(bytes, method, error)
        }
        return part
    }

    private static func nextToken(in bytes: Span<UInt8>) throws -> String {
        var token = ""
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: if field.message == nil { throw UnexpectedWireType(number: 1) }
            case 2: try field.read(&token, in: bytes)
            default: break
            }
        }
        return token
    }
}
