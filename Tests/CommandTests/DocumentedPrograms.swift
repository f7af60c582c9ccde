// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The programs and scripts of this repository with their subcommands and flags: of a binary its help is read, of a
/// script its text.
struct DocumentedPrograms {
    /// Flags that a script passes on: the arguments of the binary that gets them.
    private static let passedOn = ["scripts/chaos.sh": ["tools", "chaos"], "scripts/soak.sh": ["tools", "soak"]]

    /// By the program and its subcommands.
    private var helps: [[String]: String] = [:]
    /// The names of directories and files, without extensions, below Tests: of modules and of suites.
    private let tests: Set<String>
    private let fuzzTargets: Set<String>

    init() throws {
        let directory = DocumentedCommand.root.appending(path: "Tests")
        let paths = try FileManager.default.subpathsOfDirectory(atPath: directory.path)
        tests = Set(paths.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent })
        let corpora = directory.appending(path: "FuzzTargetsTests/Corpora").path
        fuzzTargets = Set(try FileManager.default.contentsOfDirectory(atPath: corpora))
    }

    /// The words of each command in a text of the documentation: the parts of a pipeline or a list, and what
    /// `kubectl exec` runs.
    static func commands(in text: String) -> [[String]] {
        text.replacing("\\\n", with: " ").replacing(" -- ", with: "\n").split { "\n|&;()".contains($0) }.map { part in
            // Without a comment; and brackets say only that words may be left out.
            part.split(separator: " #").first?.split(separator: " ")
                .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "[]")) } ?? []
        }.filter { !$0.isEmpty }
    }

    /// What a command names that does not exist; nil for a command of another program, and if everything exists.
    mutating func problem(in command: [String]) async throws -> String? {
        let arguments = command.dropFirst()
        let filter = command.firstIndex(of: "--filter").map { command.dropFirst($0 + 1).first ?? "" }
        switch command[0] {
        case "csi-health-monitor", "tools": return try await problem(of: [command[0]], arguments)
        case "kubectl-volume_health": return try await problem(of: ["csi-health-monitor", "status"], arguments)
        case "kubectl" where arguments.first == "volume-health":
            return try await problem(of: ["csi-health-monitor", "status"], arguments.dropFirst())
        case "kubectl" where arguments.first?.hasPrefix("volume") == true: return command.joined(separator: " ")
        case "swift" where filter != nil: return filter.flatMap { tests.contains($0) ? nil : $0 }
        case "scripts/test.sh" where filter != nil: return filter.flatMap { tests.contains($0) ? nil : $0 }
        case let path where path.hasPrefix("scripts/") || path.hasPrefix(".ci/"):
            return try await problem(ofScript: path, arguments)
        default: return nil
        }
    }

    // MARK: Binaries

    private mutating func problem(of name: [String], _ arguments: ArraySlice<String>) async throws -> String? {
        var (name, arguments) = (name, arguments)
        while let word = arguments.first, try await subcommands(of: name).contains(word) {
            name.append(word)
            arguments.removeFirst()
        }
        let help = try await help(of: name)
        if let word = arguments.first, Self.isName(word) {
            let usage = help.split(separator: "\n").drop { !$0.hasPrefix("USAGE:") }.prefix { !$0.hasSuffix(":") }
            let words = usage.joined(separator: " ").split { !$0.isLetter && $0 != "-" }
            guard words.contains(Substring(word)) else { return "\(name.joined(separator: " ")) has no \(word)" }
        }
        let known = Self.flags(in: help)
        return Self.flags(of: arguments).first { !known.contains($0) }
    }

    private mutating func subcommands(of name: [String]) async throws -> Set<String> {
        if name == ["csi-health-monitor"] {
            return Set(Program.commandList.split(separator: "\n").map { String($0.prefix { $0 != ":" }) })
        }
        guard let list = try await help(of: name).split(separator: "SUBCOMMANDS:\n").dropFirst().first else {
            return []
        }
        return Set(list.matches(of: /(?m)^  ([a-z-]+)( |$)/).map { String($0.1) })
    }

    private mutating func help(of name: [String]) async throws -> String {
        if let help = helps[name] { return help }
        let directory = URL(fileURLWithPath: try programPath()).deletingLastPathComponent()
        let outcome = try await Tool.run(directory.appending(path: name[0]).path, name.dropFirst() + ["--help"])
        try #require(outcome.exitCode == 0, "\(name): \(outcome.errors)")
        helps[name] = outcome.output
        return outcome.output
    }

    /// The flags that a help describes: of each line the first words, as in `  -n, --namespace <namespace>` or
    /// `  --lists/--no-lists`.
    private static func flags(in help: String) -> Set<String> {
        let labels = help.matches(of: /(?m)^  --?[A-Za-z][A-Za-z0-9-]*(?:(?:, |\/)--?[A-Za-z][A-Za-z0-9-]*)*/)
        return Set(labels.flatMap { $0.output.matches(of: /--?[A-Za-z][A-Za-z0-9-]*/).map { String($0.output) } })
    }

    // MARK: Scripts

    private mutating func problem(ofScript path: String, _ arguments: ArraySlice<String>) async throws -> String? {
        let file = DocumentedCommand.root.appending(path: path)
        guard FileManager.default.fileExists(atPath: file.path) else { return path }
        guard !arguments.isEmpty else { return nil }
        let text = try String(contentsOf: file, encoding: .utf8)
        // What it compares its arguments with: `--keep)`, `--side=node |`, `= --write ]`.
        var known = Set(text.matches(of: /(--[a-z-]+)(?:=[a-z*]+)?(?: \||\)| \])/).map { String($0.1) })
        if let command = Self.passedOn[path] { known.formUnion(Self.flags(in: try await help(of: command))) }
        let words = Set(text.split { !$0.isLetter && $0 != "-" }.map(String.init)).union(fuzzTargets)
        return Self.flags(of: arguments).first { !known.contains($0) }
            ?? arguments.first { Self.isName($0) && !words.contains($0) }
    }

    // MARK: Words

    /// The flags among arguments, without their values.
    private static func flags(of arguments: ArraySlice<String>) -> [String] {
        arguments.filter { $0.wholeMatch(of: /--?[A-Za-z].*/) != nil }.map { String($0.prefix { $0 != "=" }) }
    }

    /// Whether a word must exist as it is: words in capitals stand for others, and paths and numbers are values.
    private static func isName(_ word: String) -> Bool { word.wholeMatch(of: /[a-z][a-z-]*/) != nil }
}
