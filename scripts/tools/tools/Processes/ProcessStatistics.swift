// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Glibc

/// The memory of a process in bytes, from `/proc/PID/status` (proc(5)).
struct ProcessMemory: Equatable, Sendable {
    /// VmRSS.
    let resident: Double
    /// VmHWM: the peak of VmRSS.
    let peakResident: Double
    /// RssAnon: the part of VmRSS that is not backed by files.
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

    /// Resets the peak of a process to its present resident memory (proc(5), clear_refs).
    static func resetPeak(of process: Int32) throws {
        try "5".write(toFile: "/proc/\(process)/clear_refs", atomically: false, encoding: .utf8)
    }
}

/// The CPU time of a process with all its threads, also ended ones, from `/proc/PID/stat` (proc(5)).
struct ProcessTime: Equatable, Sendable {
    /// User and system time, in seconds.
    let seconds: Double

    init(of process: Int32) throws {
        let stat = try text(of: "/proc/\(process)/stat")
        self = try Self(parsing: stat, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    /// - Throws: also for a zombie process.
    init(parsing stat: String, ticksPerSecond: Double) throws(ProcessStatisticsError) {
        // The name, in parentheses, may contain spaces and parentheses.
        guard let end = stat.lastIndex(of: ")") else { throw ProcessStatisticsError(message: "malformed stat file") }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // Fields 14 (utime) and 15 (stime); the first one here is 3 (state).
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw ProcessStatisticsError(message: "malformed stat file")
        }
        guard fields[0] != "Z", fields[0] != "X" else { throw ProcessStatisticsError(message: "the process has ended") }
        seconds = (user + system) / ticksPerSecond
    }
}

/// A process has ended, or its files in /proc are malformed.
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
