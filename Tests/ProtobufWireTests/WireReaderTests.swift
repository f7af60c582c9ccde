// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire
import Testing

@Suite struct WireReaderTests {
    private func fields(_ bytes: [UInt8]) throws -> [WireField] {
        var reader = WireReader()
        var fields: [WireField] = []
        while let field = try reader.next(in: bytes.span) { fields.append(field) }
        return fields
    }

    @Test(arguments: [0, 1, 127, 128, 300, 16_383, 16_384, 70_000])
    func `an encoded header is read back`(length: Int) throws {
        let bytes = WireField.header(number: 2, length: length) + [UInt8](repeating: 7, count: length)
        var reader = WireReader()
        let field = try #require(try reader.next(in: bytes.span))
        #expect(field.number == 2)
        #expect(field.message?.count == length)
        #expect(reader.position == bytes.count)
    }

    @Test func `fields of every wire type are read`() throws {
        var bytes: [UInt8] = [0x08, 0xAC, 0x02]
        bytes += [0x12, 4] + Array("name".utf8)
        bytes += [0x1D, 1, 2, 3, 4]
        bytes += [0x21, 1, 2, 3, 4, 5, 6, 7, 8]
        bytes += [0xC2, 0x3E, 2, 8, 1]
        let fields = try fields(bytes)
        #expect(fields.map(\.number) == [1, 2, 3, 4, 1000])
        #expect(fields.map(\.integer) == [300, nil, nil, nil, nil])
        #expect(fields.map { $0.message.map { Array(bytes[$0]) } } == [nil, Array("name".utf8), nil, nil, [8, 1]])
        #expect(fields.map(\.content.count) == [2, 4, 4, 8, 2])
    }

    @Test func `a group is one field`() throws {
        // Group 5, which contains a string, the empty group 6 and an integer.
        let group: [UInt8] = [0x2B, 0x0A, 1, 0x61, 0x33, 0x34, 0x10, 1, 0x2C]
        let fields = try fields(group + [0x38, 1])
        #expect(fields.map(\.number) == [5, 7])
        #expect(fields[0].message == nil && fields[0].integer == nil)
    }

    @Test func `a field of another wire type leaves the string as it is`() throws {
        let bytes: [UInt8] = [0x08, 7, 0x12, 2] + Array("é".utf8) + [0x1A, 1, 0xFF]
        let fields = try fields(bytes)
        var text = "before"
        try fields[0].read(&text, in: bytes.span)
        #expect(text == "before")
        try fields[1].read(&text, in: bytes.span)
        #expect(text == "é")
        let error = #expect(throws: WireFormatError.self) { try fields[2].read(&text, in: bytes.span) }
        #expect(error?.position == 8)
    }

    @Test func `a string that is not UTF-8 is repaired, and one that is too long is empty`() throws {
        let bytes: [UInt8] = [0x08, 7, 0x12, 3, 0x61, 0xFF, 0x62, 0x1A, 2] + Array("é".utf8)
        let fields = try fields(bytes)
        var text = "before"
        fields[0].readRepaired(&text, in: bytes.span)
        #expect(text == "before")
        fields[1].readRepaired(&text, in: bytes.span)
        #expect(text == "a\u{FFFD}b")
        fields[2].readRepaired(&text, upTo: 2, in: bytes.span)
        #expect(text == "é")
        fields[2].readRepaired(&text, upTo: 1, in: bytes.span)
        #expect(text.isEmpty)
    }

    @Test(
        arguments: [
            [0x0A, 5, 1], [0x0A], [0x08], [0x08, 0x80], [0x0D, 1, 2, 3], [0x09, 1], [0x0B], [0x0B, 0x08], [0x0C],
            [0x0E, 1],
            [0x0F], [0x00, 1], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ] as [[UInt8]]
    )
    func `an invalid field is an error`(bytes: [UInt8]) throws {
        #expect(throws: WireFormatError.self) { try fields(bytes) }
        #expect(throws: WireFormatError.self) { try fields([8, 1] + bytes) }
    }

    @Test func `the largest integer is read`() throws {
        let bytes = [0x08] + Array(repeating: 0xFF as UInt8, count: 9) + [1]
        #expect(try fields(bytes).map(\.integer) == [.max])
    }
}
