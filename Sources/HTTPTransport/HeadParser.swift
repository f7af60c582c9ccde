// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Puts a response's head together from the lines that libcurl passes on.
///
/// Interim responses (1xx) are passed over; what follows the head, trailers, is ignored.
struct HeadParser {
    private var head: Transfer.Head?
    private var isComplete = false

    /// Takes the next line. Returns the head with its last, empty, line.
    mutating func receive(_ line: String) -> Transfer.Head? {
        if isComplete { return nil }
        let text = line.trimmingLineEnd
        if text.hasPrefix("HTTP/"), let status = Self.status(of: text) {
            head = Transfer.Head(status: status, headers: [:])
        } else if text.isEmpty {
            guard let head, head.status >= 200 else { return nil }
            isComplete = true
            return head
        } else if let colon = text.firstIndex(of: ":") {
            head?.headers.add(String(text[..<colon]), text[text.index(after: colon)...].trimmingSpaces)
        }
        return nil
    }

    /// `HTTP/1.1 200 OK`; a proxy may be less exact: `HTTP/1.1 200`
    private static func status(of line: some StringProtocol) -> Int? {
        let words = line.split(separator: " ", maxSplits: 2)
        return words.count > 1 ? Int(words[1]) : nil
    }
}

extension String {
    fileprivate var trimmingLineEnd: Substring {
        // "\r\n" is one Character.
        guard let last, last.isNewline else { return self[...] }
        return dropLast()
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        guard let first = firstIndex(where: { $0 != " " && $0 != "\t" }),
            let last = lastIndex(where: { $0 != " " && $0 != "\t" })
        else { return "" }
        return String(self[first...last])
    }
}
