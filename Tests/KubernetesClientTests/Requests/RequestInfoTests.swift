// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import Testing

@testable import KubernetesClient

@Suite struct RequestInfoTests {
    @Test func `the path depends on group, scope and subresource`() {
        #expect(
            RequestInfo(verb: .list, resource: PersistentVolume.resource).path == "/api/v1/persistentvolumes"
        )
        #expect(RequestInfo(verb: .list, resource: Event.resource).path == "/api/v1/events")
        #expect(
            RequestInfo(verb: .get, resource: Lease.resource, namespace: "kube-system", name: "lock").path
                == "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lock"
        )
        #expect(
            RequestInfo(verb: .get, resource: PersistentVolume.resource, namespace: "ignored", name: "pv").path
                == "/api/v1/persistentvolumes/pv"
        )
    }

    @Test func `a subresource is part of path, description and rule`() {
        let info = RequestInfo(
            verb: .patch,
            resource: PersistentVolumeClaim.resource,
            namespace: "shop",
            name: "data",
            subresource: "status"
        )
        #expect(info.path == "/api/v1/namespaces/shop/persistentvolumeclaims/data/status")
        #expect(info.description == "patch persistentvolumeclaims/status shop/data")
        #expect(info.rbacRule == #"{apiGroups: [""], resources: ["persistentvolumeclaims/status"], verbs: ["patch"]}"#)
    }

    @Test func `names are percent-encoded within a path segment`() {
        let info = RequestInfo(verb: .get, resource: Event.resource, namespace: "a/b", name: "c?d=é#%")
        #expect(info.path == "/api/v1/namespaces/a%2Fb/events/c%3Fd%3D%C3%A9%23%25")
    }
}
