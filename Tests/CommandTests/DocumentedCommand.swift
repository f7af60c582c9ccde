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

    /// The pages for users and contributors.
    static func pages() throws -> [String] {
        let manager = FileManager.default
        func pages(in directory: String) throws -> [String] {
            try manager.contentsOfDirectory(atPath: root.appending(path: directory).path)
                .filter { $0.hasSuffix(".md") }.map { directory.isEmpty ? $0 : "\(directory)/\($0)" }
        }
        let manifests = try manager.contentsOfDirectory(atPath: root.appending(path: "manifests").path)
        return try (["", "docs", "docs/decisions"] + manifests.map { "manifests/\($0)" }).flatMap(pages).sorted()
    }

    /// The commands of a page.
    ///
    /// - Throws: `ExpectationFailedError` if a block has no language.
    static func all(in page: String) throws -> [DocumentedCommand] {
        let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
        var commands: [DocumentedCommand] = []
        // The info string and the lines of the block that is open.
        var block: (info: [Substring], indent: Int, lines: [Substring])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let content = line.drop { $0 == " " }
            if content.hasPrefix("```") {
                if let ended = block {
                    commands += Self.commands(of: ended.info, ended.lines, page)
                    block = nil
                } else {
                    let info = content.dropFirst(3).split(separator: " ")
                    try #require(!info.isEmpty, "\(page): a block has no language")
                    block = (info, line.count - content.count, [])
                }
            } else if let indent = block?.indent {
                block?.lines.append(line.dropFirst(min(indent, line.count - content.count)))
            }
        }
        return commands
    }

    private static func commands(of info: [Substring], _ lines: [Substring], _ page: String) -> [DocumentedCommand] {
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
