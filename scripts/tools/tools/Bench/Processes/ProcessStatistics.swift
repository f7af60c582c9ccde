// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Glibc

/// Memory of a process, from `/proc/PID/status` (proc(5)).
struct ProcessMemory: Equatable, Sendable {
    /// VmRSS: now, in bytes.
    let resident: Double
    /// VmHWM: at the most so far.
    let peakResident: Double
    /// RssAnon: what is no page of a file.
    let anonymous: Double

    init(of process: Int32) throws {
        self = try Self(parsing: try text(of: "/proc/\(process)/status"))
    }

    init(parsing status: String) throws(ProcessStatisticsError) {
        func bytes(_ name: String) throws(ProcessStatisticsError) -> Double {
            guard
                let line = status.split(separator: "\n").first(where: { $0.hasPrefix("\(name):") }),
                let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) })
            else { throw ProcessStatisticsError(message: "no \(name): the process has ended") }
            return kibibytes * 1024
        }
        resident = try bytes("VmRSS")
        peakResident = try bytes("VmHWM")
        anonymous = try bytes("RssAnon")
    }

    /// Makes the peak of a process what is resident now (proc(5), clear_refs).
    static func resetPeak(of process: Int32) throws {
        try "5".write(toFile: "/proc/\(process)/clear_refs", atomically: false, encoding: .utf8)
    }
}

/// CPU time of a process with all its threads, also those that have ended, from `/proc/PID/stat` (proc(5)).
struct ProcessTime: Equatable, Sendable {
    /// User and system time, in seconds.
    let seconds: Double

    init(of process: Int32) throws {
        let stat = try text(of: "/proc/\(process)/stat")
        self = try Self(parsing: stat, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    /// - Throws: also when the process has ended and is only waited for.
    init(parsing stat: String, ticksPerSecond: Double) throws(ProcessStatisticsError) {
        // The name, in parentheses, may have spaces and parentheses of its own.
        guard let end = stat.lastIndex(of: ")") else { throw ProcessStatisticsError(message: "no stat of a process") }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // Fields 14 (utime) and 15 (stime); the first one here is 3 (state).
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw ProcessStatisticsError(message: "no stat of a process")
        }
        guard fields[0] != "Z", fields[0] != "X" else { throw ProcessStatisticsError(message: "the process has ended") }
        seconds = (user + system) / ticksPerSecond
    }
}

/// Why there are no statistics.
struct ProcessStatisticsError: Error, Equatable, CustomStringConvertible {
    let message: String

    var description: String { message }
}

private func text(of path: String) throws(ProcessStatisticsError) -> String {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw ProcessStatisticsError(message: "\(path) cannot be read: the process has ended")
    }
    return text
}
