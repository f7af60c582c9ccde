// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore
package import ProtobufWire

/// The field numbers are those of `k8s.io/api/core/v1/generated.proto`.
extension NodeSelector {
    /// Reads `VolumeNodeAffinity.required`; nil when it is absent, which admits every node.
    ///
    /// - Parameter bytes: a `VolumeNodeAffinity`, field 9 of `PersistentVolumeSpec`.
    /// - Throws: when the bytes are not a valid message.
    package static func required(nodeAffinity bytes: Span<UInt8>) throws(WireFormatError) -> NodeSelector? {
        var selector: NodeSelector?
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == 1, let message = field.message else { continue }
            // A message field that occurs more than once is merged, as protobuf requires.
            var required = selector ?? NodeSelector()
            try required.read(selector: bytes.extracting(message))
            selector = required
        }
        return selector
    }

    private mutating func read(selector bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == 1, let message = field.message else { continue }
            terms.append(try NodeSelectorTerm(reading: bytes.extracting(message)))
        }
    }
}

extension NodeSelectorTerm {
    fileprivate init(reading bytes: Span<UInt8>) throws(WireFormatError) {
        self.init()
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else { continue }
            switch field.number {
            case 1: matchExpressions.append(try NodeSelectorRequirement(reading: bytes.extracting(message)))
            case 2: matchFields.append(try NodeSelectorRequirement(reading: bytes.extracting(message)))
            default: break
            }
        }
    }
}

extension NodeSelectorRequirement {
    fileprivate init(reading bytes: Span<UInt8>) throws(WireFormatError) {
        self.init()
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: try field.read(&key, in: bytes)
            case 2: try field.read(&self.operator, in: bytes)
            case 3 where field.message != nil:
                var value = ""
                try field.read(&value, in: bytes)
                values.append(value)
            default: break
            }
        }
    }
}
