// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire

/// A page of a driver's list, as it came: the reply of ListVolumes or of ControllerListVolumeHealth, both of which have
/// their entries in field 1 and `next_token` in field 2. What it says is read part by part, so that a reply of many small
/// entries takes little more memory than its bytes.
package struct DriverPage<Item: DriverReport>: Sendable {
    /// How many entries a part has at most.
    static var maximumEntries: Int { 1000 }
    /// No entry begins in a part of so many bytes.
    static var maximumBytes: Int { 128 << 10 }

    package struct Part: Sendable {
        /// Those with a `volume_id`.
        package var items: [Item] = []
        /// How many entries have none, which the specification requires: they say nothing of any volume.
        var unidentifiable = 0

        fileprivate var count: Int { items.count + unidentifiable }
    }

    /// Empty: this is the last page.
    package let nextToken: String
    private let bytes: [UInt8]
    private let method: String
    private var reader = WireReader()
    /// Read already.
    private var first: Part?

    /// - Throws: where the reply is no message or not one of these two, or where an entry of the first part, which of
    ///   most pages is all, cannot be read.
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

    /// The next part; nil after the last one. A page without entries has one.
    ///
    /// - Throws: where an entry cannot be read.
    package mutating func next() throws(CSIError) -> Part? {
        if let first {
            self.first = nil
            return first
        }
        return reader.position < bytes.count ? try read() : nil
    }

    private mutating func read() throws(CSIError) -> Part {
        // Not this value's own one: that would be read while it changes.
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
                    // It makes a part of its own: where it is no good, the others are.
                    reader = here
                    break
                }
                let item = try Item(reading: span.extracting(entry))
                if item.id.isEmpty { part.unidentifiable += 1 } else { part.items.append(item) }
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
