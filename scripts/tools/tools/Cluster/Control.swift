// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

/// The control interface: each line of standard input is a command, and for each there is, in order, a line of standard
/// output with a JSON object, `{"error": "..."}` for a command that failed.
struct Control {
    let cluster: ControlledCluster

    /// Runs commands until standard input ends.
    func run() async {
        for await line in Self.lines() {
            let words = line.split(separator: " ").map(String.init)
            guard let name = words.first else { continue }
            Self.write(await result(of: name, Array(words.dropFirst())))
        }
    }

    private func result(of name: String, _ arguments: [String]) async -> JSONValue {
        guard let command = ControlCommand.all.first(where: { $0.name == name }) else {
            let names = ControlCommand.all.map(\.name).joined(separator: ", ")
            return ["error": .string("unknown command \"\(name)\", use one of \(names)")]
        }
        do {
            return try await command.run(cluster, arguments)
        } catch {
            return ["error": .string("\(name): \(error)")]
        }
    }

    /// Writes a line to standard output.
    static func write(_ value: JSONValue) {
        FileHandle.standardOutput.write(Data(value.serialized + [UInt8(ascii: "\n")]))
    }

    /// The lines of standard input. Reading blocks and cannot be interrupted: its thread ends with the input or with
    /// the process.
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
