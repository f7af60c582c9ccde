// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Flags of external-health-monitor that are parsed, so that an invalid value is an error, and otherwise ignored.
protocol IgnoredFlags: ParsableArguments {
    /// Each flag with its value.
    var texts: [(name: String, text: String)] { get }
}

extension IgnoredFlags {
    /// The names of the flags whose value differs from the default. The user may expect an effect, so they are logged.
    var changed: [String] {
        guard let defaults = try? Self.parse([]) else { return [] }
        return zip(texts, defaults.texts).filter { $0.text != $1.text }.map(\.0.name)
    }
}

/// The ignored flags that the controller and the agent of external-health-monitor have in common.
///
/// The agent, and the controller up to 0.9, have the flags of `klog.InitFlags` (k8s.io/klog/v2, klog.go), whose names have
/// underscores. The controller has those of component-base from 0.10 on (`logsapi.AddGoFlags`). Both have `--vmodule`.
struct CompatibilityFlags: IgnoredFlags {
    /// The names of the flags that mean true without a value.
    static let booleans: Set = [
        "add_dir_header", "alsologtostderr", "automaxprocs", "log-json-split-stream", "log-text-split-stream",
        "logtostderr", "one_output", "skip_headers", "skip_log_headers",
    ]

    @Option("Ignored: watches need no resync.")
    var resync = GoDuration.minutes(10)

    @Option("Ignored: the number of threads does not depend on the CPU limit.")
    var automaxprocs = false

    @Option("Ignored: --v applies to the whole program.")
    var vmodule = VModule()

    @Option("Ignored: logs are not buffered.")
    var logFlushFrequency = GoDuration.seconds(5)

    @Option("Ignored: logs go to standard error.")
    var logTextSplitStream = false

    @Option("Ignored: logs are not buffered.")
    var logTextInfoBufferSize = ByteQuantity()

    @Option(name: .customLong("log-json-split-stream"), "Ignored: logs go to standard error.")
    var logJSONSplitStream = false

    @Option(name: .customLong("log-json-info-buffer-size"), "Ignored: logs are not buffered.")
    var logJSONInfoBufferSize = ByteQuantity()

    @Option(name: .customLong("logtostderr"), "Ignored: logs go to standard error.")
    var logToStandardError = true

    @Option(name: .customLong("alsologtostderr"), "Ignored: logs go to standard error.")
    var alsoLogToStandardError = false

    @Option(name: .customLong("stderrthreshold"), "Ignored: logs of each severity go to standard error.")
    var standardErrorThreshold = LogSeverity()

    @Option(name: .customLong("log_dir"), "Ignored: logs go to standard error.", valueName: "path")
    var logDirectory = ""

    @Option(name: .customLong("log_file"), "Ignored: logs go to standard error.", valueName: "path")
    var logFile = ""

    @Option(name: .customLong("log_file_max_size"), "Ignored: logs go to standard error.", valueName: "megabytes")
    var logFileMaximumSize: UInt64 = 1800

    @Option(name: .customLong("one_output"), "Ignored: logs go to standard error.")
    var oneOutput = false

    @Option(name: .customLong("skip_log_headers"), "Ignored: logs go to standard error.")
    var skipLogHeaders = false

    @Option(name: .customLong("skip_headers"), "Ignored: each line has its header.")
    var skipHeaders = false

    @Option(name: .customLong("add_dir_header"), "Ignored: headers have no directories.")
    var addDirectoryHeader = false

    @Option(name: .customLong("log_backtrace_at"), "Ignored: logs have no stack traces.")
    var logBacktraceAt = SourceLine()

    var texts: [(name: String, text: String)] {
        [
            ("resync", resync.flagText),
            ("automaxprocs", automaxprocs.flagText),
            ("vmodule", vmodule.flagText),
            ("log-flush-frequency", logFlushFrequency.flagText),
            ("log-text-split-stream", logTextSplitStream.flagText),
            ("log-text-info-buffer-size", logTextInfoBufferSize.flagText),
            ("log-json-split-stream", logJSONSplitStream.flagText),
            ("log-json-info-buffer-size", logJSONInfoBufferSize.flagText),
            ("logtostderr", logToStandardError.flagText),
            ("alsologtostderr", alsoLogToStandardError.flagText),
            ("stderrthreshold", standardErrorThreshold.flagText),
            ("log_dir", logDirectory),
            ("log_file", logFile),
            ("log_file_max_size", logFileMaximumSize.flagText),
            ("one_output", oneOutput.flagText),
            ("skip_log_headers", skipLogHeaders.flagText),
            ("skip_headers", skipHeaders.flagText),
            ("add_dir_header", addDirectoryHeader.flagText),
            ("log_backtrace_at", logBacktraceAt.flagText),
        ]
    }
}
