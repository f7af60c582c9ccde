// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// A PersistentVolume, reduced to its driver and its handle.
package struct ListedVolume: ListedObject, Hashable {
    package static let resource = PersistentVolume.resource

    package var name = ""
    package var resourceVersion = ""
    /// `spec.csi.driver`; empty for a volume without a CSI driver.
    package var driver = ""
    /// `spec.csi.volumeHandle`
    package var handle = ""

    package init() {}

    package init(reading bytes: Span<UInt8>) throws {
        try forEachField(of: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1:
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    if field.number == 1 { name = field.text(in: bytes) }
                    if field.number == 6 { resourceVersion = field.text(in: bytes) }
                }
            case 2: try readSpec(field, bytes)
            default: break
            }
        }
    }

    private mutating func readSpec(_ field: WireField, _ bytes: Span<UInt8>) throws(WireFormatError) {
        try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
            guard field.number == 2 else { return }
            try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                guard field.number == 22 else { return }
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    if field.number == 1 { driver = field.text(in: bytes) }
                    if field.number == 2 { handle = field.text(upTo: .max, in: bytes) }
                }
            }
        }
    }
}
