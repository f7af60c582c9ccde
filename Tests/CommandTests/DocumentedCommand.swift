// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

/// A command in a fenced block of the documentation.
///
/// A block's info string says what it has: `sh`, commands; `console`, commands after `$ ` and their output; with the
/// word `example`, no test runs them; other languages have no commands.
struct DocumentedCommand: Sendable {
    /// Relative to the root of the repository.
    var page: String
    /// An `sh` block whole, because its lines may belong together; of a `console` block one command.
    var text: String
    var isExample: Bool

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    /// The pages for users and contributors: those in the root itself, and all in docs and manifests.
    static func pages(in root: URL = root) throws -> [String] {
        let manager = FileManager.default
        var paths = try manager.contentsOfDirectory(atPath: root.path)
        for directory in ["docs", "manifests"] {
            let files = try manager.subpathsOfDirectory(atPath: root.appending(path: directory).path)
            paths += files.map { "\(directory)/\($0)" }
        }
        return paths.filter { $0.hasSuffix(".md") }.sorted()
    }

    /// The commands of a page.
    ///
    /// - Throws: `ExpectationFailedError` if a block has no language.
    static func all(in page: String) throws -> [DocumentedCommand] {
        try parts(of: page).flatMap { part in
            guard case .block(let info, let lines) = part else { return [] as [DocumentedCommand] }
            return try commands(of: info, lines, page)
        }
    }

    /// The inline code of a page, each on one line.
    ///
    /// - Throws: `ExpectationFailedError` if a paragraph has a backtick without its counterpart.
    static func inlineCode(in page: String) throws -> [String] {
        try parts(of: page).flatMap { part in
            guard case .paragraph(let text) = part else { return [] as [String] }
            let pieces = text.split(separator: "`", omittingEmptySubsequences: false)
            try #require(!pieces.count.isMultiple(of: 2), "\(page): \(text)")
            return pieces.indices.filter { !$0.isMultiple(of: 2) }.map { index in
                // In a table, a vertical bar has a backslash.
                pieces[index].split(whereSeparator: \.isWhitespace).joined(separator: " ").replacing("\\|", with: "|")
            }
        }
    }

    /// The blocks of a language on a page.
    static func blocks(of language: String, in page: String) throws -> [String] {
        try parts(of: page).compactMap { part in
            guard case .block(let info, let lines) = part, info.first.map(String.init) == language else { return nil }
            return lines.joined(separator: "\n")
        }
    }

    private enum Part {
        case paragraph(String)
        /// A fenced block: its info string, and its lines without their common indentation.
        case block(info: [Substring], lines: [Substring])
    }

    private static func parts(of page: String) throws -> [Part] {
        let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
        var parts: [Part] = []
        // The block that is open.
        var block: (info: [Substring], indent: Int, lines: [Substring])?
        var paragraph: [Substring] = []
        func endParagraph() {
            if !paragraph.isEmpty { parts.append(.paragraph(paragraph.joined(separator: "\n"))) }
            paragraph = []
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let content = line.drop { $0 == " " }
            if content.hasPrefix("```") {
                if let ended = block {
                    parts.append(.block(info: ended.info, lines: ended.lines))
                    block = nil
                } else {
                    endParagraph()
                    block = (content.dropFirst(3).split(separator: " "), line.count - content.count, [])
                }
            } else if let indent = block?.indent {
                block?.lines.append(line.dropFirst(min(indent, line.count - content.count)))
            } else if content.isEmpty {
                endParagraph()
            } else {
                paragraph.append(line)
            }
        }
        endParagraph()
        return parts
    }

    private static func commands(
        of info: [Substring],
        _ lines: [Substring],
        _ page: String
    ) throws -> [DocumentedCommand] {
        try #require(!info.isEmpty, "\(page): a block has no language")
        let isExample = info.dropFirst().contains("example")
        let texts: [String]
        switch info.first {
        case "sh": texts = [lines.joined(separator: "\n")]
        case "console": texts = lines.filter { $0.hasPrefix("$ ") }.map { String($0.dropFirst(2)) }
        default: texts = []
        }
        return texts.map { DocumentedCommand(page: page, text: $0, isExample: isExample) }
    }
}
