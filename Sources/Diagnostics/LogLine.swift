// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Logging

/// One event, ready to be written.
struct LogLine {
    var level: Logger.Level
    var time: LogTime
    /// `Module/File.swift`
    var file: String
    var line: UInt
    var message: String
    var error: String?
    var metadata: [(key: String, value: Logger.Metadata.Value)]

    private static let process = "\(getpid())".leftPadded(to: 7, with: " ")

    /// klog's structured format: header, quoted message, then key=value pairs, the error first.
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

    /// The JSON of component-base: time in milliseconds, verbosity with all but errors, the error last.
    var json: String {
        var text =
            "{\"ts\":\(time.milliseconds),\"caller\":\(Quote.json("\(file):\(line)")),\"msg\":\(Quote.json(message))"
        if level < .error {
            text += ",\"v\":\(level.verbosity)"
        }
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
    fileprivate var klogSeverity: Character {
        switch self {
        case .trace, .debug, .info, .notice: "I"
        case .warning: "W"
        // klog's F would say that the process has ended.
        case .error, .critical: "E"
        }
    }
}

extension Logger.MetadataValue {
    fileprivate var klogText: String {
        switch self {
        case .string(let string): Quote.go(string)
        case .stringConvertible(let value): Self.bareText(of: value) ?? Quote.go(value.description)
        case .dictionary, .array: json
        }
    }

    fileprivate var json: String {
        switch self {
        case .string(let string):
            Quote.json(string)
        case .stringConvertible(let value):
            Self.bareText(of: value) ?? Quote.json(value.description)
        case .dictionary(let dictionary):
            "{"
                + dictionary.sorted { $0.key < $1.key }
                .map { "\(Quote.json($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        case .array(let array):
            "[" + array.map(\.json).joined(separator: ",") + "]"
        }
    }

    /// Integers and booleans need no quotes in either format.
    private static func bareText(of value: any CustomStringConvertible) -> String? {
        value is any BinaryInteger || value is Bool ? value.description : nil
    }
}
