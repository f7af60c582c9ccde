// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The type of a field, in JSON and on the protobuf wire.
indirect enum FieldType: Sendable {
    case string
    case int32
    case int64
    case bool
    /// Base64 in JSON.
    case bytes
    /// `resource.Quantity`: a string in JSON, a message with the string under 1 on the wire.
    case quantity
    /// `metav1.Time`: RFC 3339 with whole seconds; seconds=1, nanos=2, of which nanos is always 0.
    case time
    /// `metav1.MicroTime`: RFC 3339 with six decimals; seconds=1, nanos=2.
    case microTime
    case message(MessageSchema)
    /// A message on the wire, whose fields are the parent's in JSON (Go's `json:",inline"`).
    case inlined(MessageSchema)
    case list(FieldType)
    /// A map with string keys.
    case map(FieldType)
}

/// One field of a message.
struct FieldSchema: Sendable {
    let name: String
    let number: Int
    let type: FieldType
    /// Whether Go holds the field by pointer, which distinguishes absent from empty. Any other field is absent from
    /// JSON when it is empty (`omitempty`) and is written on the wire even then, as the real server does.
    let isPointer: Bool

    static func field(_ name: String, _ number: Int, _ type: FieldType) -> FieldSchema {
        FieldSchema(name: name, number: number, type: type, isPointer: false)
    }

    static func pointer(_ name: String, _ number: Int, _ type: FieldType) -> FieldSchema {
        FieldSchema(name: name, number: number, type: type, isPointer: true)
    }
}

/// A Kubernetes type: its fields in ascending order of their numbers.
///
/// Written by hand from generated.proto of k8s.io/api and k8s.io/apimachinery, independently of the generated messages
/// that the client uses: a wrong number there cannot hide behind the same wrong number here. Unknown fields are
/// dropped, as by a real server.
final class MessageSchema: Sendable, CustomStringConvertible {
    let name: String
    let fields: [FieldSchema]
    private let indexByNumber: [Int: Int]

    init(_ name: String, _ fields: [FieldSchema]) {
        self.name = name
        self.fields = fields
        indexByNumber = Dictionary(uniqueKeysWithValues: fields.enumerated().map { ($1.number, $0) })
    }

    var description: String { name }

    func field(number: Int) -> FieldSchema? {
        indexByNumber[number].map { fields[$0] }
    }
}

/// A value or a message does not fit its type.
struct SchemaError: Error, CustomStringConvertible {
    /// The field's path, such as `spec.claimRef.name`; empty at the top.
    var path: String
    var problem: String

    var description: String { path.isEmpty ? problem : "\(path): \(problem)" }

    /// The same error, seen from the message that holds the field.
    func inside(_ name: String) -> SchemaError {
        SchemaError(path: path.isEmpty ? name : "\(name).\(path)", problem: problem)
    }
}
