// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// When a process started, from Linux's /proc.
enum ProcessStartTime {
    /// Seconds since 1970; nil where /proc is not mounted.
    static func ofThisProcess() -> Double? {
        guard let stat = ProcFile.contents(of: "/proc/self/stat"), let system = ProcFile.contents(of: "/proc/stat")
        else { return nil }
        return parse(processStat: stat, systemStat: system, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The boot time of `systemStat` and, after it, the ticks of `processStat`, see proc(5): `btime`, and the 22nd field.
    static func parse(processStat: String, systemStat: String, ticksPerSecond: Int) -> Double? {
        let bootLine = systemStat.split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard
            let ticks = ProcessStat(processStat)?.startTicks,
            let boot = bootLine.flatMap({ Double($0.dropFirst("btime ".count)) }),
            ticksPerSecond > 0
        else { return nil }
        return boot + ticks / Double(ticksPerSecond)
    }
}
