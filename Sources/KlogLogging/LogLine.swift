// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Logging

/// One log event in klog's text format and in component-base's JSON.
struct LogLine {
    var level: Logger.Level
    var verbosity: Int
    var time: LogTime
    /// `Module/File.swift`
    var file: String
    var line: UInt
    var message: String
    var error: String?
    var metadata: [(key: String, value: Logger.Metadata.Value)]

    private static let process = "\(getpid())".leftPadded(to: 7, with: " ")

    /// klog's structured format: header, quoted message, then key=value pairs, the error first.
    ///
    /// Source: k8s.io/klog/v2, klog.go, `header`; internal/serialize/keyvalues.go.
    var text: String {
        let fileName =
            file.utf8.lastIndex(of: UInt8(ascii: "/")).map { file[file.utf8.index(after: $0)...] } ?? file[...]
        var text =
            "\(level.klogSeverity)\(time.klogTimestamp) \(Self.process) \(fileName):\(line)] \(Quote.go(message))"
        if let error {
            text += " err=\(Quote.go(error))"
        }
        for (key, value) in metadata {
            text += " \(Quote.key(key))=\(value.klogText)"
        }
        return text
    }

    /// The JSON of component-base: time in milliseconds, `v` for all but errors, the error last. `severity` is an
    /// addition: component-base does not distinguish warnings from information.
    var json: String {
        var text =
            "{\"ts\":\(time.milliseconds),\"caller\":\(Quote.json("\(file):\(line)")),\"msg\":\(Quote.json(message))"
        if level < .error {
            text += ",\"v\":\(verbosity)"
        }
        text += ",\"severity\":\"\(level.severity)\""
        for (key, value) in metadata {
            text += ",\(Quote.json(key)):\(value.json)"
        }
        if let error {
            text += ",\"err\":\(Quote.json(error))"
        }
        return text + "}"
    }
}

extension Logger.Level {
    fileprivate var severity: String {
        switch self {
        case .trace, .debug, .info, .notice: "info"
        case .warning: "warning"
        case .error, .critical: "error"
        }
    }

    fileprivate var klogSeverity: Character {
        switch self {
        case .trace, .debug, .info, .notice: "I"
        case .warning: "W"
        // klog's F means that the process exits.
        case .error, .critical: "E"
        }
    }
}

extension Logger.MetadataValue {
    fileprivate var klogText: String {
        switch self {
        case .string(let string): Quote.go(string)
        case .stringConvertible(let value): Self.bareText(of: value) ?? Quote.go(Self.text(of: value))
        case .dictionary(let dictionary): Self.objectReference(dictionary).map(Quote.go) ?? json
        case .array(let array): "[" + array.map(\.klogText).joined(separator: ",") + "]"
        }
    }

    fileprivate var json: String {
        switch self {
        case .string(let string):
            Quote.json(string)
        case .stringConvertible(let value):
            Self.bareText(of: value) ?? Quote.json(Self.text(of: value))
        case .dictionary(let dictionary):
            "{"
                + dictionary.sorted { $0.key < $1.key }
                .map { "\(Quote.json($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        case .array(let array):
            "[" + array.map(\.json).joined(separator: ",") + "]"
        }
    }

    /// `namespace/name` of a dictionary with exactly these two keys, as klog prints a KObj; otherwise nil.
    private static func objectReference(_ dictionary: Logger.Metadata) -> String? {
        guard dictionary.count == 2, case .string(let namespace)? = dictionary["namespace"],
            case .string(let name)? = dictionary["name"]
        else { return nil }
        return "\(namespace)/\(name)"
    }

    /// The text of a finite number or a boolean, which neither format quotes; otherwise nil. JSON has no infinity or
    /// NaN.
    private static func bareText(of value: any CustomStringConvertible) -> String? {
        switch value {
        case let number as Double: number.isFinite ? number.description : nil
        case is any BinaryInteger, is Bool: value.description
        default: nil
        }
    }

    private static func text(of value: any CustomStringConvertible) -> String {
        (value as? Duration)?.goText ?? value.description
    }
}
