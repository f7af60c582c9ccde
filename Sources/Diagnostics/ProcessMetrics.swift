// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// What this process uses, as Prometheus' client libraries expose it. What cannot be read is absent.
///
/// Source: names and help of `prometheus/process_collector.go` in github.com/prometheus/client_golang; proc(5).
struct ProcessMetrics: Sendable, Equatable {
    /// User and system time, in seconds.
    var cpuSeconds: Double?
    var residentBytes: Double?
    var virtualBytes: Double?
    var openFiles: Int?
    /// The soft limit.
    var maximumOpenFiles: Double?

    /// - Parameters:
    ///   - stat: `/proc/self/stat`; nil where it cannot be read.
    ///   - limits: `/proc/self/limits`; nil where it cannot be read.
    ///   - openFiles: entries of `/proc/self/fd`; nil where it cannot be read.
    init(stat: String?, limits: String?, openFiles: Int?, ticksPerSecond: Int, pageSize: Int) {
        if let stat = stat.flatMap(ProcessStat.init), ticksPerSecond > 0 {
            cpuSeconds = (stat.userTicks + stat.systemTicks) / Double(ticksPerSecond)
            virtualBytes = stat.virtualBytes
            residentBytes = stat.residentPages * Double(pageSize)
        }
        self.openFiles = openFiles
        let limit = "Max open files "
        if let line = limits?.split(separator: "\n").first(where: { $0.hasPrefix(limit) }),
            let soft = line.dropFirst(limit.count).split(separator: " ").first
        {
            // As the procfs package of Prometheus reads it: the largest number of 64 bits.
            maximumOpenFiles = soft == "unlimited" ? Double(UInt64.max) : Double(soft)
        }
    }

    /// Read now.
    static func ofThisProcess() -> ProcessMetrics {
        ProcessMetrics(
            stat: ProcFile.contents(of: "/proc/self/stat"),
            limits: ProcFile.contents(of: "/proc/self/limits"),
            openFiles: ProcFile.entries(of: "/proc/self/fd"),
            ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)),
            pageSize: sysconf(Int32(_SC_PAGESIZE))
        )
    }

    var metrics: [CollectedMetric] {
        let all: [(CollectedMetric.Kind, name: String, help: String, value: Double?)] = [
            (.counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", cpuSeconds),
            (.gauge, "process_resident_memory_bytes", "Resident memory size in bytes.", residentBytes),
            (.gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.", virtualBytes),
            (.gauge, "process_open_fds", "Number of open file descriptors.", openFiles.map(Double.init)),
            (.gauge, "process_max_fds", "Maximum number of open file descriptors.", maximumOpenFiles),
        ]
        return all.compactMap { kind, name, help, value in
            value.map { CollectedMetric(kind, MetricDescription(name: name, help: help), samples: [([], $0)]) }
        }
    }
}
