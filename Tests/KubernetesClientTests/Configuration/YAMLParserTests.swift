// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import KubernetesClient

@Suite struct YAMLParserTests {
    private func parse(_ text: String) throws -> YAMLNode {
        try YAMLParser.parse(Array(text.utf8))
    }

    @Test func `nodes have line numbers`() throws {
        let node = try parse("a: 1\nb:\n- x\n- 'true'\nc: {d: ~}\n")
        #expect(node["a"] == YAMLNode(content: .scalar("1", isPlain: true), line: 1))
        #expect(
            node["b"]?.content
                == .sequence([
                    YAMLNode(content: .scalar("x", isPlain: true), line: 3),
                    YAMLNode(content: .scalar("true", isPlain: false), line: 4),
                ])
        )
        #expect(node["c"]?["d"] == YAMLNode(content: .null, line: 5))
        #expect(node["e"] == nil)
    }

    @Test func `JSON is YAML`() throws {
        let node = try parse(#"{"a": {"b": ["c", true]}, "d": "tab\tand \u00e9"}"#)
        #expect(node["d"]?.content == .scalar("tab\tand é", isPlain: false))
        guard case .sequence(let items) = node["a"]?["b"]?.content else {
            Issue.record("no sequence: \(node)")
            return
        }
        #expect(items.map(\.content) == [.scalar("c", isPlain: false), .scalar("true", isPlain: true)])
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "~"])
    func `an empty text is null`(_ text: String) throws {
        #expect(try parse(text).content == .null)
    }

    @Test func `only the first document is parsed`() throws {
        #expect(try parse("a\n---\nb\n").content == .scalar("a", isPlain: true))
    }

    @Test(arguments: [
        ("a: 1\nb: [\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\na: 2\n", 2),
        ("a: &x 1\nb: *x\n", 2),
        ("? [a]\n: 1\n", 1),
    ])
    func `an error has the line number`(_ text: String, line: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.line == line)
    }

    @Test func `nesting is bounded`() throws {
        func nested(_ levels: Int) -> String {
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        _ = try parse(nested(YAMLParser.maximumDepth))
        #expect(throws: YAMLError.self) { try parse(nested(YAMLParser.maximumDepth + 1)) }
        #expect(throws: YAMLError.self) { try parse(String(repeating: "[", count: 100_000)) }
    }

    @Test func `aliases cannot expand a small text`() {
        let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"
        #expect(throws: YAMLError(line: 2, message: "an alias (*name) is not allowed: write the value instead")) {
            try parse(bomb)
        }
    }

    /// Any truncated or damaged text is parsed or is an error.
    @Test func `malformed text does not crash`() throws {
        let text = Array("a: &x {b: [1, \"two\", 'three', !!str 4]}\nc: |\n  text\n  é\nd: >-\n  folded\n".utf8)
        var outcomes = 0
        for index in text.indices {
            var damaged = text
            for byte: UInt8 in [0x00, 0x0A, 0x22, 0x26, 0x2A, 0x5B, 0x7B, 0x80, 0xFF] {
                damaged[index] = byte
                _ = try? YAMLParser.parse(damaged)
                outcomes += 1
            }
            _ = try? YAMLParser.parse(Array(text[..<index]))
        }
        #expect(outcomes == text.count * 9)
    }
}
