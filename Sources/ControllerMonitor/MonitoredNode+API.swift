// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthRuntime
package import KubernetesAPI

extension MonitoredNode {
    /// A node in a list. Its condition shows since when it is not Ready: only for this are the clocks of the control
    /// plane and of this host compared.
    package init(listed node: Node, at now: Duration) {
        let time = node.readyCondition.lastTransitionTime.seconds
        let age = time == 0 ? .zero : Duration.age(of: time, now: Time.now().seconds)
        self.init(node, notReadySince: now - age)
    }

    /// A node that was just added or modified.
    init(changed node: Node, at now: Duration) {
        self.init(node, notReadySince: now)
    }

    private init(_ node: Node, notReadySince time: Duration) {
        let readiness: Readiness =
            switch node.readyCondition.status {
            case "True": .ready
            case "": .unknown
            default: .notReady(since: time)
            }
        self.init(name: node.metadata.name, readiness: readiness)
    }
}

extension Node {
    /// The condition of type Ready; empty if there is none.
    fileprivate var readyCondition: NodeCondition {
        status.conditions.first { $0.type == "Ready" } ?? NodeCondition()
    }
}

extension MonitoredPod {
    package init(_ pod: Pod) {
        let name = pod.metadata.name
        let claims = pod.spec.volumes.compactMap { volume in
            let source = volume.volumeSource
            if source.hasPersistentVolumeClaim { return source.persistentVolumeClaim.claimName }
            // The name of the claim that Kubernetes creates for a generic ephemeral volume.
            return source.hasEphemeral ? "\(name)-\(volume.name)" : nil
        }
        self.init(
            key: Key(namespace: pod.metadata.namespace, name: name),
            nodeName: pod.spec.nodeName,
            claimNames: claims
        )
    }
}
