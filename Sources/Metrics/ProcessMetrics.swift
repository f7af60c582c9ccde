// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

extension MetricsRegistry {
    /// Adds the `process_*` metrics of Prometheus' client libraries, for this process. They are read at each scrape,
    /// except the start time. A metric whose value cannot be read from /proc is absent.
    ///
    /// Source: names and help of `prometheus/process_collector.go` in github.com/prometheus/client_golang.
    package func addProcessMetrics() {
        if let start = ProcessStartTime.ofThisProcess() {
            gauge(
                MetricDescription(
                    name: "process_start_time_seconds",
                    help: "Start time of the process since unix epoch in seconds."
                )
            ).set(start)
        }
        collect { ProcessMetrics.ofThisProcess().metrics }
    }
}

/// The resources that a process uses, from /proc: see proc(5). nil: the value could not be read.
struct ProcessMetrics: Sendable, Equatable {
    /// User and system time together.
    var cpuSeconds: Double?
    var residentBytes: Double?
    var virtualBytes: Double?
    var openFiles: Int?
    /// The soft limit (RLIMIT_NOFILE); 2⁶⁴ when there is none.
    var maximumOpenFiles: Double?

    /// - Parameters:
    ///   - stat: the contents of `/proc/self/stat`; nil where it cannot be read.
    ///   - limits: the contents of `/proc/self/limits`; nil where it cannot be read.
    ///   - openFiles: the number of entries of `/proc/self/fd`; nil where it cannot be read.
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
            // github.com/prometheus/procfs reads "unlimited" as the largest 64-bit number.
            maximumOpenFiles = soft == "unlimited" ? Double(UInt64.max) : Double(soft)
        }
    }

    static func ofThisProcess() -> ProcessMetrics {
        ProcessMetrics(
            stat: ProcFile.contents(of: "/proc/self/stat"),
            limits: ProcFile.contents(of: "/proc/self/limits"),
            openFiles: ProcFile.entryCount(of: "/proc/self/fd"),
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

/// The start time of a process, from /proc.
enum ProcessStartTime {
    /// In seconds since 1970; nil where /proc cannot be read.
    static func ofThisProcess() -> Double? {
        guard let stat = ProcFile.contents(of: "/proc/self/stat"), let system = ProcFile.contents(of: "/proc/stat")
        else { return nil }
        return parse(processStat: stat, systemStat: system, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The boot time (`btime` of /proc/stat, in seconds since 1970) plus the start time (the 22nd field of
    /// /proc/PID/stat, in ticks after boot).
    static func parse(processStat: String, systemStat: String, ticksPerSecond: Int) -> Double? {
        guard
            let ticks = ProcessStat(processStat)?.startTicks,
            let boot = BootTime.parse(systemStat: systemStat),
            ticksPerSecond > 0
        else { return nil }
        return Double(boot) + ticks / Double(ticksPerSecond)
    }
}
