// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import SwiftProtobuf

/// Removes secrets from a driver's texts: a backend's error may repeat the secrets that were sent to it, and goes to
/// logs and events, which many users may read.
///
/// A secret's value is removed as it was sent; without white space at its ends (`echo secret | base64` adds a newline,
/// which drivers trim); line by line (a PEM key); and, for a JSON object (a service account's key file), string by
/// string. Each of these is also removed as JSON escapes it, with the fewest escapes and as Go's encoding/json does.
/// Values of less than four bytes, and parts of less than eight, are not removed, because they would match ordinary
/// text.
struct Redaction {
    static let placeholder = "(redacted)"
    private static let minimumBytes = 4
    private static let minimumPartBytes = 8

    /// The longest first, because one may contain another.
    private let values: [String]

    init(_ secrets: [String: String]) {
        var values: Set<String> = []
        func add(_ text: some StringProtocol, atLeast minimum: Int) {
            let trimmed = text.trimmed
            for form in [String(text), String(trimmed)] where form.utf8.count >= minimum {
                values.insert(form)
                values.insert(form.escapedForJSON)
                values.insert(form.escapedForGo)
            }
        }
        func addParts(of value: String) {
            add(value, atLeast: Self.minimumBytes)
            for line in value.split(whereSeparator: \.isNewline) { add(line, atLeast: Self.minimumPartBytes) }
        }
        for value in secrets.values {
            addParts(of: value)
            if let object = try? Google_Protobuf_Struct(jsonString: value) {
                for text in object.texts where text.utf8.count >= Self.minimumPartBytes { addParts(of: text) }
            }
        }
        self.values = values.sorted { ($1.utf8.count, $0) < ($0.utf8.count, $1) }
    }

    func callAsFunction(_ text: String) -> String {
        values.reduce(text) { text, value in text.contains(value) ? text.replacing(value, with: Self.placeholder) : text
        }
    }

    func callAsFunction(_ health: DriverVolumeHealth) -> DriverVolumeHealth {
        guard !values.isEmpty else { return health }
        var health = health
        for index in health.entries.indices {
            health.entries[index].reason = self(health.entries[index].reason)
            health.entries[index].message = self(health.entries[index].message)
        }
        return health
    }
}

// MARK: Messages

/// A request with secrets, which must not be logged.
protocol SecretBearing {
    var secrets: [String: String] { get set }

    /// Removes the secrets, also from what the driver has put into the request.
    mutating func removeSecrets()
}

extension CSIControllerListVolumeHealthRequest: SecretBearing {
    mutating func removeSecrets() {
        startingToken = Redaction(secrets)(startingToken)
        secrets = [:]
    }
}

extension CSIControllerGetVolumeHealthRequest: SecretBearing {
    mutating func removeSecrets() { secrets = [:] }
}

/// A response that may repeat the request's secrets in its texts.
protocol Redactable {
    mutating func redact(_ redaction: Redaction)
}

extension CSIVolumeHealth: Redactable {
    mutating func redact(_ redaction: Redaction) {
        volumeID = redaction(volumeID)
        for index in healthStatuses.indices {
            healthStatuses[index].reason = redaction(healthStatuses[index].reason)
            healthStatuses[index].message = redaction(healthStatuses[index].message)
        }
    }
}

extension CSIControllerListVolumeHealthResponse: Redactable {
    mutating func redact(_ redaction: Redaction) {
        nextToken = redaction(nextToken)
        for index in entries.indices { entries[index].redact(redaction) }
    }
}

extension CSIControllerGetVolumeHealthResponse: Redactable {
    mutating func redact(_ redaction: Redaction) {
        if hasVolumeHealth { volumeHealth.redact(redaction) }
    }
}

// MARK: Texts

extension StringProtocol {
    fileprivate var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[startIndex..<startIndex] }
        return self[first...last]
    }
}

extension String {
    /// As in a JSON string (RFC 8259, section 7), without the quotation marks.
    fileprivate var escapedForJSON: String {
        var escaped = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": escaped += "\\\""
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            case "\t": escaped += "\\t"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension String {
    /// As Go's encoding/json writes a string, without the quotation marks: `appendString` in encode.go escapes what HTML
    /// and JavaScript treat in another way too.
    fileprivate var escapedForGo: String {
        var escaped = ""
        for scalar in escapedForJSON.unicodeScalars {
            switch scalar.value {
            case 0x08: escaped += "\\b"
            case 0x0C: escaped += "\\f"
            case 0..<0x20, 0x26, 0x3C, 0x3E, 0x2028, 0x2029:
                let hexadecimal = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension Google_Protobuf_Struct {
    /// All string values, at any depth.
    fileprivate var texts: [String] { fields.values.flatMap(\.texts) }
}

extension Google_Protobuf_Value {
    fileprivate var texts: [String] {
        switch kind {
        case .stringValue(let text): [text]
        case .structValue(let object): object.texts
        case .listValue(let list): list.values.flatMap(\.texts)
        case .nullValue, .numberValue, .boolValue, nil: []
        }
    }
}
