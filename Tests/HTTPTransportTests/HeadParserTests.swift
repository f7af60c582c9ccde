// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HTTPTransport

struct HeadParserTests {
    private func head(of lines: [String]) -> [Transfer.Head] {
        var parser = HeadParser()
        return lines.compactMap { parser.receive($0.utf8) }
    }

    @Test func `the empty line completes a head`() throws {
        let heads = head(of: ["HTTP/1.1 404 Not Found\r\n", "A: b\r\n", "A:\t c \r\n", "\r\n"])
        let head = try #require(heads.first)
        #expect(heads.count == 1)
        #expect(head.status == 404)
        #expect(HTTPHeaders(lines: head.lines).fields.map(\.value) == ["b", "c"])
    }

    @Test func `interim responses and trailers are skipped`() {
        let heads = head(of: [
            "HTTP/1.1 100 Continue\r\n", "X: y\r\n", "\r\n",
            "HTTP/2 200\r\n", "content-type: text/plain\r\n", "\r\n",
            "trailer: z\r\n", "\r\n",
        ])
        #expect(heads.map(\.status) == [200])
        #expect(heads.first.map { HTTPHeaders(lines: $0.lines).fields.map(\.name) } == ["content-type"])
    }

    @Test func `fields are parsed from their lines`() {
        let headers = HTTPHeaders(lines: Array("A: b\r\nno colon\r\nEmpty:\r\nB:c: d \t\r\n: e\nlast:f".utf8))
        #expect(headers.fields.map(\.name) == ["A", "Empty", "B", "", "last"])
        #expect(headers.fields.map(\.value) == ["b", "", "c: d", "e", "f"])
    }

    @Test(arguments: ["", "\r\n", "HTTP/1.1\r\n", "HTTP/1.1 abc\r\n", "no colon\r\n", ": \r\n"])
    func `garbage is not a head`(line: String) {
        #expect(head(of: [line, "\r\n"]).isEmpty)
    }
}
