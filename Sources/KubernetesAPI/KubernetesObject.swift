// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import SwiftProtobuf

/// What is read of an object that comes in a list or a watch: a whole message, or the few fields that are wanted of
/// objects of which there are many.
package protocol ListedObject: Sendable {
    /// Where the API server keeps objects of this kind.
    static var resource: Resource { get }

    /// `metadata.resourceVersion`
    var resourceVersion: String { get }

    /// Reads an object from its protobuf; fields that are not known are left out.
    ///
    /// - Throws: where the bytes are no message, or a text is no UTF-8.
    init(reading bytes: Span<UInt8>) throws
}

/// A message that is an object of the API server: it has metadata and a resource to be found under.
package protocol KubernetesObject: SwiftProtobuf.Message, ListedObject {
    /// Name, namespace, uid, version.
    var metadata: ObjectMeta { get set }
}

extension KubernetesObject {
    /// `metadata.resourceVersion`
    package var resourceVersion: String { metadata.resourceVersion }

    /// Decodes the message, without the fields that it does not have.
    ///
    /// - Throws: `BinaryDecodingError`.
    package init(reading bytes: Span<UInt8>) throws {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        try self.init(serializedBytes: bytes.bytes, options: options)
    }
}

extension PersistentVolume: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(core: "PersistentVolume", plural: "persistentvolumes", scope: .cluster)
}

extension PersistentVolumeClaim: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(
        core: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        scope: .namespaced
    )
}

extension Event: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(core: "Event", plural: "events", scope: .namespaced)
}

extension Lease: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        scope: .namespaced
    )
}

extension Node: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(core: "Node", plural: "nodes", scope: .cluster)
}

extension Pod: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(core: "Pod", plural: "pods", scope: .namespaced)
}

extension Secret: KubernetesObject {
    /// Where the API server keeps them.
    package static let resource = Resource(core: "Secret", plural: "secrets", scope: .namespaced)
}
