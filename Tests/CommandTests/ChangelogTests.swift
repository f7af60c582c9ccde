// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The changelog, the git tags and the version in the code name the same release.
@Suite struct ChangelogTests {
    @Test func `the changelog has no problems`() async throws {
        let text = try String(contentsOf: Self.root.appending(path: "CHANGELOG.md"), encoding: .utf8)
        let problems = Changelog(text: text).problems(
            lastTag: await Self.tag("--abbrev=0"),
            currentTag: await Self.tag("--exact-match"),
            development: try Self.developmentVersion()
        )
        #expect(problems == [])
    }

    @Test(arguments: [
        // Before the first release.
        ("## [0.1.0] - unreleased", nil, nil, "0.1.0-dev"),
        // The commit of a release, before and after it is tagged.
        ("## [0.1.0] - 2027-01-31", nil, nil, "0.1.0-dev"),
        ("## [0.1.0] - 2027-01-31", "v0.1.0", "v0.1.0", "0.1.0-dev"),
        // After a release.
        ("## [0.10.0] - unreleased\n## [0.9.0] - 2027-01-31", "v0.9.0", nil, "0.10.0-dev"),
    ])
    func `a changelog that follows the tags has no problems`(
        text: String,
        lastTag: String?,
        currentTag: String?,
        development: String
    ) {
        let changelog = Changelog(text: text)
        #expect(changelog.problems(lastTag: lastTag, currentTag: currentTag, development: development) == [])
    }

    @Test(arguments: [
        ("# Changelog", nil, nil, "0.1.0-dev", "there is no entry"),
        ("## [0.1.0] - unreleased", nil, nil, "0.2.0-dev", "the default version 0.2.0-dev is not 0.1.0-dev"),
        ("## [0.1.0] - unreleased", "v0.1.0", nil, "0.1.0-dev", "the tag v0.1.0 has no entry with a date"),
        ("## [0.1.0] - 2027-01-31", "v0.2.0", nil, "0.1.0-dev", "the tag v0.2.0 has no entry with a date"),
        (
            "## [0.2.0] - unreleased\n## [0.1.0] - 2027-01-31", "v0.1.0", "v0.1.0", "0.2.0-dev",
            "this commit is v0.1.0 and the top entry is 0.2.0"
        ),
        ("## [0.9.0] - unreleased\n## [0.10.0] - 2027-01-31", "v0.10.0", nil, "0.9.0-dev", "0.9.0 is above 0.10.0"),
        ("## [0.2.0]", nil, nil, "0.2.0-dev", "0.2.0 is neither unreleased nor has a date"),
    ])
    func `a changelog that differs from the tags has a problem`(
        text: String,
        lastTag: String?,
        currentTag: String?,
        development: String,
        problem: String
    ) {
        let changelog = Changelog(text: text)
        #expect(changelog.problems(lastTag: lastTag, currentTag: currentTag, development: development) == [problem])
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The tag of a release that `git describe` finds; nil without one, and in a copy of the sources without git.
    private static func tag(_ option: String) async -> String? {
        let arguments = ["git", "-C", root.path, "describe", "--tags", "--match", "v[0-9]*", option]
        guard let outcome = try? await Tool.run("/usr/bin/env", arguments), outcome.exitCode == 0 else { return nil }
        return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The version of a build that sets none.
    private static func developmentVersion() throws -> String {
        let shim = try String(contentsOf: root.appending(path: "Sources/CBuildSettings/shim.h"), encoding: .utf8)
        return String(try #require(shim.firstMatch(of: /#define CSI_HEALTH_MONITOR_VERSION (\S+)/)).output.1)
    }
}

/// The entries of CHANGELOG.md.
private struct Changelog {
    private struct Entry {
        var version: String
        /// What follows the version: `unreleased` or a date.
        var state: String

        var isReleased: Bool { state.wholeMatch(of: /\d{4}-\d{2}-\d{2}/) != nil }
    }

    private let entries: [Entry]

    init(text: String) {
        entries = text.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: /## \[(.*)\](?: - (.*))?/).map {
                Entry(version: String($0.output.1), state: $0.output.2.map(String.init) ?? "")
            }
        }
    }

    /// What is wrong with the entries.
    ///
    /// - Parameters:
    ///   - lastTag: the last release before or at this commit.
    ///   - currentTag: the tag of this commit.
    ///   - development: the version of a build that sets none.
    func problems(lastTag: String?, currentTag: String?, development: String) -> [String] {
        guard let top = entries.first else { return ["there is no entry"] }
        var problems: [String] = []
        if development != "\(top.version)-dev" {
            problems.append("the default version \(development) is not \(top.version)-dev")
        }
        for entry in entries where !entry.isReleased && entry.state != "unreleased" {
            problems.append("\(entry.version) is neither unreleased nor has a date")
        }
        for (upper, lower) in zip(entries, entries.dropFirst())
        where upper.version.compare(lower.version, options: .numeric) != .orderedDescending {
            problems.append("\(upper.version) is above \(lower.version)")
        }
        if let lastTag, !entries.contains(where: { $0.isReleased && "v\($0.version)" == lastTag }) {
            problems.append("the tag \(lastTag) has no entry with a date")
        }
        if let currentTag, "v\(top.version)" != currentTag {
            problems.append("this commit is \(currentTag) and the top entry is \(top.version)")
        }
        return problems
    }
}
