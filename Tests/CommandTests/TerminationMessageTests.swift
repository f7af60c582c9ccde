// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import csi_health_monitor

@Suite struct TerminationMessageTests {
    @Test func `the message replaces the file's content`() throws {
        let path = temporaryPath()
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("an earlier message that is longer than the next one".utf8).write(to: URL(fileURLWithPath: path))
        TerminationMessage.write("first\nsecond", to: path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "first second")
    }

    @Test func `a missing file is not created`() {
        let path = temporaryPath()
        TerminationMessage.write("message", to: path)
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `a path that is a directory is ignored`() {
        TerminationMessage.write("message", to: "/tmp")
        #expect(FileManager.default.fileExists(atPath: "/tmp"))
    }

    /// Characters of one, two and three bytes: the limit of 4096 bytes is no multiple of three.
    @Test(arguments: [("x", 4096), ("é", 4096), ("漢", 4095)])
    func `a long message is truncated at a character boundary`(character: String, bytes: Int) {
        let line = TerminationMessage.line(String(repeating: character, count: 5000))
        #expect(line.utf8.count == bytes)
        #expect(!line.contains("\u{FFFD}"))
    }

    private func temporaryPath() -> String {
        FileManager.default.temporaryDirectory.appending(path: "tm-\(UUID().uuidString)").path
    }
}
