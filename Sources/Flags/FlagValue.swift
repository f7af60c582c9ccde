// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import ControllerCore
import ControllerMonitor
import KlogLogging

/// The type of a flag, as Go's `flag.Value`.
protocol FlagValue: Sendable {
    /// The placeholder for the value in the help.
    static var valueName: String { get }

    /// Parses a value. The error says what to write instead.
    init(flag text: String) throws(UsageError)

    /// The text that parses as this value.
    var flagText: String { get }
}

extension FlagValue where Self: CustomStringConvertible {
    var flagText: String { description }
}

extension Option where Value: FlagValue {
    /// A flag whose help ends with its default, and whose errors say what to write.
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

    /// Accepts what Go's `strconv.ParseBool` does.
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

extension UInt64: FlagValue {
    static let valueName = "count"

    init(flag text: String) throws(UsageError) {
        guard let value = UInt64(text) else {
            throw UsageError(message: "write a whole number that is not negative, such as 10")
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

/// An enumeration of words.
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

/// A quantity of bytes in Kubernetes' syntax, a number with an optional suffix: `512`, `64Ki`, `1M`.
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
