// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import ProtobufWire

/// A CSIDriver (storage.k8s.io/v1), reduced to what a reference to it needs.
struct CSIDriverObject: WatchedObject, Hashable {
    static let resource = Resource(
        group: "storage.k8s.io",
        version: "v1",
        kind: "CSIDriver",
        plural: "csidrivers",
        scope: .cluster
    )

    private(set) var uid = ""
    private(set) var resourceVersion = ""

    init() {}

    mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 5: try field.read(&uid, in: bytes)
            case 6: try field.read(&resourceVersion, in: bytes)
            default: break
            }
        }
    }

    mutating func read(spec: Span<UInt8>) {}

    mutating func read(status: Span<UInt8>) {}
}
