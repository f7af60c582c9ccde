// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Puts a response's head together from the lines that libcurl passes on.
///
/// Interim responses (1xx) are passed over; what follows the head, trailers, is ignored.
struct HeadParser {
    private var head: Transfer.Head?
    private var isComplete = false

    /// Takes the next line with its end. Returns the head with its last, empty, line.
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

    /// `HTTP/1.1 200 OK`; a proxy may be less exact: `HTTP/1.1 200`
    private static func status(of line: some Collection<UInt8>) -> Int? {
        let words = line.split(maxSplits: 2) { $0 <= UInt8(ascii: " ") }
        return words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) : nil
    }
}

extension HTTPHeaders {
    /// The fields of a head's lines; what has no colon is none.
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
