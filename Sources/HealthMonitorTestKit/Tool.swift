// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

public import Foundation
import Synchronization

/// A program of this machine, run to its end by a test: kubectl, promtool, our own binary.
public enum Tool {
    /// What came of it.
    public struct Result: Sendable {
        /// The exit code.
        public var status: Int32
        /// Standard output.
        public var output: String
        /// Standard error.
        public var errors: String
    }

    /// Why there is nothing to run.
    public struct Missing: Error, CustomStringConvertible {
        /// What is missing and how to get it.
        public var description: String
    }

    /// One at a time: starting two at the same moment can crash in Foundation's `Process.run`.
    private static let starting = Mutex(())

    /// Where a program is on the PATH.
    ///
    /// - Parameter package: Debian's package that has it, for the error.
    public static func find(_ name: String, package: String) throws -> URL {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let paths = directories.map { "\($0)/\(name)" }
        guard let path = paths.first(where: FileManager.default.isExecutableFile) else {
            throw Missing(description: "\(name) is not on the PATH: install Debian's package \(package)")
        }
        return URL(filePath: path)
    }

    /// Runs a program and waits for its end.
    ///
    /// - Parameters:
    ///   - environment: all of it; nil: that of this process.
    ///   - input: what it reads from standard input.
    public static func run(
        _ executable: URL,
        _ arguments: [String],
        environment: [String: String]? = nil,
        input: String = ""
    ) async throws -> Result {
        // Files, not pipes: nobody has to read while it writes.
        let directory = FileManager.default.temporaryDirectory.appending(path: "tool-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func file(_ name: String, _ content: String = "") throws -> (url: URL, handle: FileHandle) {
            let url = directory.appending(path: name)
            try Data(content.utf8).write(to: url)
            return (url, try FileHandle(forUpdating: url))
        }
        let (output, errors) = (try file("output"), try file("errors"))
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        if let environment { process.environment = environment }
        process.standardInput = try file("input", input).handle
        process.standardOutput = output.handle
        process.standardError = errors.handle
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try starting.withLock { _ in try process.run() }
            } catch {
                continuation.resume(throwing: error)
            }
        }
        return Result(
            status: status,
            output: try String(contentsOf: output.url, encoding: .utf8),
            errors: try String(contentsOf: errors.url, encoding: .utf8)
        )
    }
}
