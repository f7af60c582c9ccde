// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The types of klog's flags. Source: k8s.io/klog/v2, klog.go, the methods Set.

/// klog's `--vmodule`: `pattern=N,pattern=N`.
struct VModule: FlagValue {
    static let valueName = "pattern=N,..."

    private(set) var flagText: String

    init(flag text: String) throws(UsageError) {
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, UInt32(parts[1]) != nil else {
                throw UsageError(message: "write pattern=N,pattern=N")
            }
        }
        flagText = text
    }

    init() {
        flagText = ""
    }
}

/// klog's `--stderrthreshold`: a severity by its name or its number.
struct LogSeverity: FlagValue {
    static let valueName = "severity"

    private static let names = ["INFO", "WARNING", "ERROR", "FATAL"]

    /// The number, as klog writes it.
    private(set) var flagText: String

    init(flag text: String) throws(UsageError) {
        if let number = Self.names.firstIndex(of: text.uppercased()) {
            flagText = "\(number)"
        } else if let number = Int32(text) {
            flagText = "\(number)"
        } else {
            throw UsageError(message: "write INFO, WARNING, ERROR, FATAL or a number")
        }
    }

    init() {
        flagText = "2"
    }
}

/// klog's `--log_backtrace_at`: `file.go:N`, or empty.
struct SourceLine: FlagValue {
    static let valueName = "file:N"

    private(set) var flagText: String

    init(flag text: String) throws(UsageError) {
        if !text.isEmpty {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].contains("."), let line = Int(parts[1]), line > 0 else {
                throw UsageError(message: "write file.go:N")
            }
        }
        flagText = text
    }

    init() {
        flagText = ""
    }
}
