// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import LeaderElection
import Logging

/// Records leadership changes as events on the Lease, as client-go's leader election does, so that `kubectl get events`
/// shows which replica led when.
///
/// Source: client-go, tools/leaderelection/resourcelock/leaselock.go, `RecordEvent`; the component is that of
/// kubernetes-csi/csi-lib-utils, leaderelection/leader_election.go.
///
/// RBAC: `create` on `events` in the Lease's namespace.
struct LeadershipEvents: Sendable {
    let client: KubernetesClient
    let namespace: String
    /// `metadata.name` of the Lease.
    let lease: String
    let identity: String
    let logger: Logger

    /// Records a change by one request. A failure is logged, and not retried.
    func record(_ change: LeadershipChange) async {
        let time = Time.now()
        var event = Event()
        // client-go: the object's name and the time.
        event.metadata.name = "\(lease).\(String(time.seconds * 1_000_000_000 + Int64(time.nanos), radix: 16))"
        event.metadata.namespace = namespace
        event.involvedObject.kind = Lease.resource.kind
        event.involvedObject.apiVersion = Lease.resource.apiVersion
        event.involvedObject.namespace = namespace
        event.involvedObject.name = lease
        event.type = "Normal"
        event.reason = "LeaderElection"
        event.message = message(change)
        event.source.component = "\(lease)/\(identity)"
        event.reportingComponent = event.source.component
        event.reportingInstance = identity
        event.firstTimestamp.seconds = time.seconds
        event.lastTimestamp.seconds = time.seconds
        event.count = 1
        do {
            _ = try await client.create(event)
        } catch {
            guard !Task.isCancelled else { return }
            logger.debug(
                "Failed to record event",
                metadata: ["lease": ["namespace": "\(namespace)", "name": "\(lease)"], "err": "\(error)"]
            )
        }
    }

    private func message(_ change: LeadershipChange) -> String {
        let text =
            switch change {
            case .began: "\(identity) became leader"
            case .ended(.steppedDown(let error)): "\(identity) stopped leading: \(error.reason)"
            case .ended(.lost), .ended(.released): "\(identity) stopped leading"
            }
        return EventRecord.bounded(text)
    }
}
