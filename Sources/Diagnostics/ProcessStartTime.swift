// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// When a process started, as Linux tells it.
enum ProcessStartTime {
    /// Seconds since 1970; nil where /proc is not mounted.
    static func ofThisProcess() -> Double? {
        guard let stat = contents(of: "/proc/self/stat"), let system = contents(of: "/proc/stat") else { return nil }
        return parse(processStat: stat, systemStat: system, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The boot time of `systemStat` and, after it, the ticks of `processStat`, see proc(5): `btime`, and the 22nd field.
    static func parse(processStat: String, systemStat: String, ticksPerSecond: Int) -> Double? {
        // The second field is the name in parentheses, which may hold spaces and parentheses of its own.
        guard let nameEnd = processStat.lastIndex(of: ")") else { return nil }
        let fieldsFromThird = processStat[nameEnd...].dropFirst().split(separator: " ")
        let bootLine = systemStat.split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard
            fieldsFromThird.count > 19, let ticks = Double(fieldsFromThird[19]),
            let boot = bootLine.flatMap({ Double($0.dropFirst("btime ".count)) }),
            ticksPerSecond > 0
        else { return nil }
        return boot + ticks / Double(ticksPerSecond)
    }

    private static func contents(of path: String) -> String? {
        // Safe: the pointer is closed on every way out and never leaves this function.
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
