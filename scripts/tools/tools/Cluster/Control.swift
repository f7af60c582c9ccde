// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

/// The control interface: a command on each line of standard input, and for each, in their order, an answer on a line of
/// standard output, which is a JSON object. Of a command that failed it is `{"error": "..."}`.
struct Control {
    let cluster: ControlledCluster

    /// Answers commands until standard input ends.
    func run() async {
        for await line in Self.lines() {
            let words = line.split(separator: " ").map(String.init)
            guard let name = words.first else { continue }
            Self.answer(await answer(to: name, Array(words.dropFirst())))
        }
    }

    private func answer(to name: String, _ arguments: [String]) async -> JSONValue {
        guard let command = ControlCommand.all.first(where: { $0.name == name }) else {
            let names = ControlCommand.all.map(\.name).joined(separator: ", ")
            return ["error": .string("there is no command \"\(name)\", only \(names)")]
        }
        do {
            return try await command.run(cluster, arguments)
        } catch {
            return ["error": .string("\(name): \(error)")]
        }
    }

    static func answer(_ value: JSONValue) {
        FileHandle.standardOutput.write(Data(value.serialized + [UInt8(ascii: "\n")]))
    }

    /// The lines of standard input. To read one blocks, and cannot be interrupted: the thread that does it ends with the
    /// input or with the process.
    private static func lines() -> AsyncStream<String> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }

    /// The commands, for the program's help.
    static var help: String {
        ControlCommand.all
            .map { "  " + [$0.name, $0.arguments].filter { !$0.isEmpty }.joined(separator: " ") + ": " + $0.abstract }
            .joined(separator: "\n")
    }
}
