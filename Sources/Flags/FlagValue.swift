// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import ControllerCore
import ControllerMonitor
import Diagnostics
import HealthCore
import HealthRuntime

/// A type that a flag can have, as Go's `flag.Value`.
protocol FlagValue: Sendable {
    /// What stands for the value in the help.
    static var valueName: String { get }

    /// Reads a value; the error says what to write instead.
    init(flag text: String) throws(UsageError)

    /// The value as it would be given.
    var flagText: String { get }
}

extension FlagValue where Self: CustomStringConvertible {
    var flagText: String { description }
}

extension Option where Value: FlagValue {
    /// A flag whose default is in its help, and whose errors say what to write.
    init(
        wrappedValue: Value,
        name: NameSpecification = .long,
        _ help: String,
        valueName: String = Value.valueName
    ) {
        let defaultText = wrappedValue.flagText.isEmpty ? "" : " (default: \(wrappedValue.flagText))"
        self.init(
            wrappedValue: wrappedValue,
            name: name,
            help: ArgumentHelp("\(help)\(defaultText)", valueName: valueName),
            transform: { try Value(flag: $0) }
        )
    }
}

extension String: FlagValue {
    static let valueName = "text"

    init(flag text: String) {
        self = text
    }
}

extension Bool: FlagValue {
    static let valueName = "bool"

    /// The words of Go's `strconv.ParseBool`.
    init(flag text: String) throws(UsageError) {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": self = true
        case "0", "f", "F", "false", "FALSE", "False": self = false
        default: throw UsageError(message: "write true or false")
        }
    }
}

extension Int32: FlagValue {
    static let valueName = "count"

    init(flag text: String) throws(UsageError) {
        guard let value = Int32(text) else {
            throw UsageError(message: "write a whole number, such as 10")
        }
        self = value
    }
}

extension Double: FlagValue {
    static let valueName = "number"

    init(flag text: String) throws(UsageError) {
        guard let value = Double(text), value.isFinite else {
            throw UsageError(message: "write a number, such as 5 or 0.5")
        }
        self = value
    }

    var flagText: String { self == rounded() ? String(description.prefix { $0 != "." }) : description }
}

extension GoDuration: FlagValue {
    static let valueName = "duration"

    init(flag text: String) throws(UsageError) {
        guard let value = GoDuration(parsing: text) else {
            throw UsageError(message: "write numbers with units, such as 1m30s, 1.5h or 300ms")
        }
        self = value
    }
}

/// A duration whose default depends on other flags.
extension Optional: FlagValue where Wrapped == GoDuration {
    static var valueName: String { GoDuration.valueName }

    init(flag text: String) throws(UsageError) {
        self = text.isEmpty ? nil : try GoDuration(flag: text)
    }

    var flagText: String { map(\.flagText) ?? "" }
}

/// A value that is one of a few words.
extension FlagValue where Self: CaseIterable & RawRepresentable<String> {
    init(flag text: String) throws(UsageError) {
        guard let value = Self(rawValue: text) else {
            let words = Self.allCases.map(\.rawValue)
            throw UsageError(message: "write \(words.dropLast().joined(separator: ", ")) or \(words.last ?? "")")
        }
        self = value
    }

    var flagText: String { rawValue }
}

extension KlogHandler.Format: FlagValue {
    static let valueName = "format"
}

extension VolumeSecretsKind: FlagValue {
    static let valueName = "kind"
}

extension ClaimConditionPolicy: FlagValue {
    static let valueName = "when"
}

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

/// A number with a suffix or none, as Kubernetes writes quantities of bytes: `512`, `64Ki`, `1M`.
struct ByteQuantity: FlagValue {
    static let valueName = "bytes"

    private static let suffixes: Set<Substring> = [
        "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ]

    private(set) var flagText: String

    init(flag text: String) throws(UsageError) {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard Double(number) != nil, Self.suffixes.contains(text[number.endIndex...]) else {
            throw UsageError(message: "write a number of bytes, such as 512, 64Ki or 1M")
        }
        flagText = text
    }

    init() {
        flagText = "0"
    }
}
