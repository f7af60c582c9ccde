// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import Flags
import KubernetesAPI
import KubernetesClient

/// A permission that the controller uses with these flags: a rule of manifests/.
struct DoctorPermission: Sendable, Equatable {
    var request: RequestInfo
    /// Whether monitoring volumes and reporting them by events requires it.
    var isRequired = true

    /// - Parameter leaseNamespace: the namespace of the Lease, in which access to Secrets is checked too.
    static func all(_ options: ControllerOptions, leaseNamespace: String) -> [DoctorPermission] {
        var all = requests(PersistentVolume.resource, [.list, .watch])
        all += requests(PersistentVolumeClaim.resource, [.list, .watch])
        all += requests(PersistentVolumeClaim.resource, [.get], isRequired: false)
        all.append(
            // Roles for external-health-monitor do not have it; events are recorded without it.
            DoctorPermission(
                request: RequestInfo(verb: .patch, resource: PersistentVolumeClaim.resource, subresource: "status"),
                isRequired: false
            )
        )
        let csiDrivers = Resource(
            group: "storage.k8s.io",
            version: "v1",
            kind: "CSIDriver",
            plural: "csidrivers",
            scope: .cluster
        )
        all += requests(csiDrivers, [.get], isRequired: false)
        all += requests(Event.resource, [.list, .create, .patch])
        all += requests(Event.resource, [.get], isRequired: false)
        if options.leaderElection != nil {
            all += requests(Lease.resource, [.get, .create, .update], namespace: leaseNamespace)
        }
        if options.nodeFailureDuration != nil || options.nodeDeployment {
            all += requests(Node.resource, [.list, .watch])
        }
        if options.nodeFailureDuration != nil { all += requests(Pod.resource, [.list, .watch]) }
        if options.volumeSecrets != .none {
            // A PersistentVolume may refer to a Secret in another namespace.
            all += requests(Secret.resource, [.get], namespace: leaseNamespace, isRequired: false)
        }
        return all
    }

    private static func requests(
        _ resource: Resource,
        _ verbs: [RequestInfo.Verb],
        namespace: String? = nil,
        isRequired: Bool = true
    ) -> [DoctorPermission] {
        verbs.map { verb in
            DoctorPermission(
                request: RequestInfo(verb: verb, resource: resource, namespace: namespace),
                isRequired: isRequired
            )
        }
    }
}
