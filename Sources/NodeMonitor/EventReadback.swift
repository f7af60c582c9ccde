// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import NodeCore

/// Reads back what an earlier process has reported on a volume: one GET of the event on its conditions, by name, and
/// one of the recovery's event if that exists (rule 9).
///
/// A list of the node's events would be a scan of all events of the cluster, on every node.
///
/// RBAC: `get` on `events`.
struct EventReadback: Sendable {
    private let context: NodeContext
    private let failures = LoggedFailures()

    private static let concurrentReads = 2

    init(_ context: NodeContext) {
        self.context = context
    }

    /// Reads until cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        let state = context.state
        let limit: @Sendable () -> Int = { Self.concurrentReads }
        try await dispatch(atMost: limit, wakeUp: state.readbacks, time: context.time) { [context] in
            state.withLock { $0.nextReadback(at: context.now) }
        } run: { volume in
            let result = try await read(volume)
            let received = context.now
            state.update { $0.complete(readback: volume, result, at: received) }
        }
    }

    /// - Throws: only `CancellationError`.
    private func read(_ volume: NodeVolume) async throws -> ReadbackResult {
        do throws(KubernetesError) {
            let result = try await reported(volume)
            failures.succeeded()
            return result
        } catch {
            try Task.checkCancellation()
            context.logger.log(
                level: failures.isFirst(error) ? .warning : .debug,
                "Failed to read back an event, retrying",
                metadata: volume.metadata.merging(["err": "\(error)"]) { $1 }
            )
            return switch error.code {
            case .forbidden: .forbidden
            case .transport, .tooManyRequests, .unauthorized: .unreachable
            default: .failed
            }
        }
    }

    private func reported(_ volume: NodeVolume) async throws(KubernetesError) -> ReadbackResult {
        guard let abnormal = try await event(on: volume, reason: EventVocabulary.abnormalReason) else {
            return .nothing
        }
        let normal = try await event(on: volume, reason: EventVocabulary.normalReason)
        // Resource versions are in the order of writes; the clocks of processes may differ.
        if let normal, normal.version > abnormal.version { return .nothing }
        let wall = Time.now().seconds
        let now = context.now
        return .reported(
            abnormal.event.annotations[EventName.fingerprintAnnotation].flatMap(EventName.fingerprint(annotation:))
                ?? .unknown,
            reportedAt: now - Duration.age(of: abnormal.event.lastTime, now: wall),
            // The event has the same name whenever the volume is unhealthy: this time began after the last recovery.
            since: now - Duration.age(of: max(abnormal.event.firstTime, normal?.event.lastTime ?? 0), now: wall)
        )
    }

    /// nil if the event does not exist, or no longer.
    private func event(
        on volume: NodeVolume,
        reason: String
    ) async throws(KubernetesError) -> (event: RecordedEvent, version: UInt64)? {
        do {
            let event = try await context.kubernetes.get(
                RecordedEvent.self,
                name: PodEvents.name(volume, reason: reason),
                namespace: volume.namespace
            )
            return (event, UInt64(event.resourceVersion) ?? 0)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }
}

extension NodeVolume {
    /// The pod and its volume, for the log.
    var metadata: Logger.Metadata {
        ["pod": ["namespace": "\(namespace)", "name": "\(podName)"], "volume": "\(nameList)", "driver": "\(driver)"]
    }
}
