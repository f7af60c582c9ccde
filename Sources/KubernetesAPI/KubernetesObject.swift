// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
package import SwiftProtobuf

/// An object as it is read: a whole message, or only the fields that are needed.
package protocol ListedObject: Sendable {
    static var resource: Resource { get }

    /// `metadata.resourceVersion`
    var resourceVersion: String { get }

    /// Decodes an object, without its unknown fields unless the type keeps them.
    ///
    /// - Throws: if the bytes are not a message, or a string is not valid UTF-8 that the type does not repair.
    init(reading bytes: Span<UInt8>) throws
}

/// An object that can be written.
package protocol WritableObject: ListedObject {
    var metadata: ObjectMeta { get }

    /// - Throws: `BinaryEncodingError`.
    func encoded() throws -> [UInt8]
}

/// The generated message of a Kubernetes object.
package protocol KubernetesObject: SwiftProtobuf.Message, WritableObject {
    var metadata: ObjectMeta { get set }
}

extension KubernetesObject {
    package var resourceVersion: String { metadata.resourceVersion }

    /// - Throws: `BinaryDecodingError`.
    package init(reading bytes: Span<UInt8>) throws {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        try self.init(serializedBytes: bytes.bytes, options: options)
    }

    package func encoded() throws -> [UInt8] { try serializedBytes() }
}

extension PersistentVolume: KubernetesObject {
    package static let resource = Resource(core: "PersistentVolume", plural: "persistentvolumes", scope: .cluster)
}

extension PersistentVolumeClaim: KubernetesObject {
    package static let resource = Resource(
        core: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        scope: .namespaced
    )
}

extension Event: KubernetesObject {
    package static let resource = Resource(core: "Event", plural: "events", scope: .namespaced)
}

extension Lease: KubernetesObject {
    package static let resource = Resource(
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        scope: .namespaced
    )
}

extension Node: KubernetesObject {
    package static let resource = Resource(core: "Node", plural: "nodes", scope: .cluster)
}

extension Pod: KubernetesObject {
    package static let resource = Resource(core: "Pod", plural: "pods", scope: .namespaced)
}

extension Secret: KubernetesObject {
    package static let resource = Resource(core: "Secret", plural: "secrets", scope: .namespaced)
}

extension Time {
    /// The wall clock's time, to the microsecond, as `metav1.MicroTime` stores it.
    package static func now() -> Time {
        var now = timespec()
        // clock_gettime(2) cannot fail here: Linux has CLOCK_REALTIME, and the pointer is to a local variable.
        clock_gettime(CLOCK_REALTIME, &now)
        var time = Time()
        time.seconds = Int64(now.tv_sec)
        time.nanos = Int32(now.tv_nsec / 1000 * 1000)
        return time
    }
}
