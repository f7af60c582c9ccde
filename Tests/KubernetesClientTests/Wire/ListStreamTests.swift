// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import Testing

@testable import KubernetesClient

@Suite struct ListStreamTests {
    private func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        precondition(content.count < 128)
        return [number << 3 | 2, UInt8(content.count)] + content
    }

    /// The body of a list with these fields.
    private func list(_ fields: [(UInt8, [UInt8])], kind: String = "LeaseList") -> [UInt8] {
        let type = field(1, Array("coordination.k8s.io/v1".utf8)) + field(2, Array(kind.utf8))
        return [0x6B, 0x38, 0x73, 0] + field(1, type) + field(2, fields.flatMap { field($0, $1) })
    }

    /// The fields that are decoded from the chunks of a body.
    private func read(_ pieces: [[UInt8]], limit: Int = 100) throws -> (fields: [String], isComplete: Bool) {
        var decoder = ListStreamDecoder(resource: Lease.resource, limit: limit)
        var fields: [String] = []
        for piece in pieces {
            decoder.append(piece)
            while let field = try decoder.next({ number, bytes throws(WireError) in "\(number) \(bytes.count)" }) {
                fields.append(field)
            }
        }
        return (fields, decoder.isComplete)
    }

    @Test(arguments: 1...40) func `a list that is split anywhere has the same fields`(_ size: Int) throws {
        let body = list([(1, [1, 2]), (2, []), (2, [0x0A, 1, 7]), (2, [UInt8](repeating: 0, count: 20))])
        let pieces = stride(from: 0, to: body.count, by: size).map { Array(body[$0..<min($0 + size, body.count)]) }
        let result = try read(pieces)
        #expect(result.fields == ["1 2", "2 0", "2 3", "2 20"])
        #expect(result.isComplete)
    }

    @Test func `a list that ends early is not complete`() throws {
        let body = list([(1, [1, 2]), (2, [3])])
        for length in 0..<body.count { #expect(try !read([Array(body.prefix(length))]).isComplete) }
    }

    @Test func `bytes after the list are not read`() throws {
        #expect(try read([list([(1, [])]) + field(4, [1])]).fields == ["1 0"])
    }

    @Test func `anything but a list of this resource is an error`() {
        for body in [
            Array("<html></html>".utf8), list([(1, [])], kind: "PodList"), list([(0, [])]),
            // A varint field, and a length of ten bytes and more.
            list([(1, [])]).dropLast(4) + [0x12, 2, 0x08, 1],
            list([(1, [])]).dropLast(2) + [0x0A] + [UInt8](repeating: 0xFF, count: 10),
        ] {
            #expect(throws: WireError.self) { try read([body]) }
        }
    }

    @Test func `a field that is longer than the limit or the list is an error`() throws {
        #expect(throws: WireError.self) { try read([list([(2, [1, 2, 3])])], limit: 2) }
        var body = list([(2, [1, 2, 3])])
        body[body.count - 4] = 4
        #expect(throws: WireError.self) { try read([body + [0, 0]]) }
    }
}
