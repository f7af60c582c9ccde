// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// The machine that figures are measured on.
struct Machine: Codable, Equatable, Sendable {
    let processor: String
    let cores: Int
    let memoryBytes: UInt64
    /// Name and version of the distribution.
    let system: String
    let kernel: String
    /// The versions of Swift and of the sidecar's libraries, by Debian package.
    let versions: [String: String]

    /// This machine, and the Swift compiler on the PATH.
    static func current() async throws -> Machine {
        let compiler = try await output(of: "swift", ["--version"])
        return Machine(
            processor: field("model name", of: contents("/proc/cpuinfo"), separator: ":") ?? "unknown",
            cores: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: ProcessInfo.processInfo.physicalMemory,
            system: field("PRETTY_NAME", of: contents("/etc/os-release"), separator: "=") ?? "unknown",
            kernel: contents("/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines),
            versions: packages(in: contents("/var/lib/dpkg/status")).merging(["swift": swiftVersion(in: compiler)]) {
                $1
            }
        )
    }

    var text: String {
        let list = versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let gibibytes = (Double(memoryBytes) / Double(1 << 30)).rounded()
        return "\(cores) cores (\(processor)), \(Int(gibibytes)) GiB, Linux \(kernel); \(system); \(list)"
    }

    /// The value of the first line with this name, without quotes.
    static func field(_ name: String, of text: String, separator: Character) -> String? {
        for line in text.split(separator: "\n") {
            let sides = line.split(separator: separator, maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if sides.count == 2, sides[0] == name { return sides[1].trimmingCharacters(in: ["\""]) }
        }
        return nil
    }

    /// The versions of the libraries in dpkg's status file, whose paragraphs have Package before Version.
    static func packages(in status: String) -> [String: String] {
        let libraries: Set = ["libc6", "libcurl4", "libgrpc-dev", "libssl3", "libyaml-0-2"]
        var versions: [String: String] = [:]
        var package = ""
        for line in status.split(separator: "\n") {
            if line.hasPrefix("Package: ") {
                package = String(line.dropFirst("Package: ".count))
            } else if line.hasPrefix("Version: "), libraries.contains(package) {
                versions[package] = String(line.dropFirst("Version: ".count))
            }
        }
        return versions
    }

    /// `6.3.1` of `Swift version 6.3.1 (swift-6.3.1-RELEASE)`
    static func swiftVersion(in text: String) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard let index = words.firstIndex(of: "version"), index + 1 < words.count else { return "unknown" }
        return String(words[index + 1])
    }

    private static func contents(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }
}
