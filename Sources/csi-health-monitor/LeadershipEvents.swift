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
    /// For the delays between attempts.
    var clock: any Clock<Duration> = ContinuousClock()

    /// The delays between attempts add up to 31 seconds.
    private static let attempts = 6

    /// Records a change. A failure is logged and retried, because a server that has just started forbids for a moment
    /// what it allows. Returns when the event is recorded, after the last attempt, or on cancellation.
    func record(_ change: LeadershipChange) async {
        let event = event(change)
        var backoff = Backoff(initial: .seconds(1))
        for attempt in 1...Self.attempts {
            do {
                _ = try await client.create(event)
                return
            } catch {
                // The response to an earlier attempt was lost.
                guard error.code != .alreadyExists, !Task.isCancelled else { return }
                logger.debug(
                    "Failed to record event",
                    metadata: [
                        "lease": ["namespace": "\(namespace)", "name": "\(lease)"], "err": "\(error)",
                        "attempt": "\(attempt)",
                    ]
                )
            }
            guard attempt < Self.attempts, (try? await clock.sleep(for: backoff.next())) != nil else { return }
        }
    }

    private func event(_ change: LeadershipChange) -> Event {
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
        return event
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
