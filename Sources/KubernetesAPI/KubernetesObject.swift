// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

public import SwiftProtobuf

/// A message that is an object of the API server: it has metadata and a resource to be found under.
public protocol KubernetesObject: SwiftProtobuf.Message {
    /// Where the API server keeps objects of this kind.
    static var resource: Resource { get }

    /// Name, namespace, uid, version.
    var metadata: ObjectMeta { get set }
}

extension PersistentVolume: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(core: "PersistentVolume", plural: "persistentvolumes", scope: .cluster)
}

extension PersistentVolumeClaim: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(
        core: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        scope: .namespaced
    )
}

extension Event: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(core: "Event", plural: "events", scope: .namespaced)
}

extension Lease: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        scope: .namespaced
    )
}

extension Node: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(core: "Node", plural: "nodes", scope: .cluster)
}

extension Pod: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(core: "Pod", plural: "pods", scope: .namespaced)
}

extension Secret: KubernetesObject {
    /// Where the API server keeps them.
    public static let resource = Resource(core: "Secret", plural: "secrets", scope: .namespaced)
}
