// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When the kernel has booted, which in a container is when the node has.
package enum BootTime {
    /// In seconds since 1970; nil where /proc cannot be read.
    package static func seconds() -> Int64? {
        ProcFile.contents(of: "/proc/stat").flatMap(parse(systemStat:))
    }

    /// `btime` of /proc/stat, see proc_stat(5).
    static func parse(systemStat: String) -> Int64? {
        systemStat.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap {
            Int64($0.dropFirst("btime ".count))
        }
    }
}
