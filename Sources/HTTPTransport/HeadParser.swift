// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Assembles the head of a response from the lines that libcurl passes on.
///
/// Skips interim responses (1xx), and the trailers that follow the body.
struct HeadParser {
    private var head: Transfer.Head?
    private var isComplete = false

    /// Takes the next line with its line end. Returns the head on its last line, which is empty.
    mutating func receive(_ line: some Collection<UInt8>) -> Transfer.Head? {
        if isComplete { return nil }
        if line.starts(with: "HTTP/".utf8) {
            if let status = Self.status(of: line) { head = Transfer.Head(status: status) }
        } else if line.allSatisfy({ $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) {
            guard let head, head.status >= 200 else { return nil }
            isComplete = true
            return head
        } else {
            head?.lines += line
        }
        return nil
    }

    /// Of `HTTP/1.1 200 OK`. Some proxies leave the reason out: `HTTP/1.1 200`.
    private static func status(of line: some Collection<UInt8>) -> Int? {
        let words = line.split(maxSplits: 2) { $0 <= UInt8(ascii: " ") }
        return words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) : nil
    }
}

extension HTTPHeaders {
    /// The fields of a head's lines. A line without a colon is skipped.
    init(lines: [UInt8]) {
        self.init()
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[line.index(after: colon)...]
            let isSpace: (UInt8) -> Bool = { $0 <= UInt8(ascii: " ") }
            let first = value.firstIndex { !isSpace($0) } ?? value.endIndex
            let end = value.lastIndex { !isSpace($0) }.map(value.index(after:)) ?? first
            add(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value[first..<end], as: UTF8.self))
        }
    }
}
