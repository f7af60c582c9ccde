// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import NodeCore
import Synchronization

/// Reads the claims of the node's pods and their volumes by GET, each until it is resolved, once for all pods that use
/// it.
///
/// A watch would bring all claims and volumes of the cluster to every node: they have no selector by node. The API
/// server responds from its watch cache, so a GET costs no read of etcd, except where the driver does not find the
/// volume: then both are read once more.
///
/// RBAC: `get` on `persistentvolumeclaims` and `persistentvolumes`.
struct ClaimResolver: Sendable {
    private let context: NodeContext
    private let failures = LoggedFailures()

    /// The maximum of concurrent GETs. It is shared by all namespaces.
    private static let concurrentReads = 4

    init(_ context: NodeContext) {
        self.context = context
    }

    /// Reads until cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        let state = context.state
        let limit: @Sendable () -> Int = { Self.concurrentReads }
        try await dispatch(atMost: limit, wakeUp: state.claims, time: context.time) { [context] in
            state.withLock { $0.nextClaim(at: context.now) }
        } run: { lookup in
            let resolution = try await resolve(lookup)
            let read = context.now
            let isWarning = state.update { $0.complete(lookup: lookup, resolution, at: read) }
            log(resolution, of: lookup, isWarning ? .warning : .debug)
        }
    }

    /// Logs why the pods' volume is not known yet. Failed requests are logged where they fail.
    private func log(_ resolution: ClaimResolution, of lookup: ClaimLookup, _ level: Logger.Level) {
        switch resolution {
        case .notYet(let reason), .foreign(let reason):
            context.logger.log(
                level: level,
                "Claim has no volume yet, retrying",
                metadata: [
                    "PVC": ["namespace": "\(lookup.namespace)", "name": "\(lookup.name)"], "reason": "\(reason)",
                ]
            )
        case .volume, .notCSI, .forbidden, .failed: break
        }
    }

    /// - Throws: only `CancellationError`.
    private func resolve(_ lookup: ClaimLookup) async throws -> ClaimResolution {
        let fromCache = context.state.withLock { !$0.needsLatest(lookup) }
        do throws(KubernetesError) {
            let claim = ClaimFacts(
                try await context.kubernetes.get(
                    ClaimBinding.self,
                    name: lookup.name,
                    namespace: lookup.namespace,
                    fromCache: fromCache
                )
            )
            switch lookup.stage(after: claim) {
            case .ended(let resolution): return resolution
            case .volume(let name):
                let volume = try await context.kubernetes.get(VolumeBinding.self, name: name, fromCache: fromCache)
                failures.succeeded()
                return lookup.resolution(claim: claim, volume: VolumeFacts(volume))
            }
        } catch {
            try Task.checkCancellation()
            if error.code == .notFound { return .notYet(reason: "\(error)") }
            context.logger.log(
                level: failures.isFirst(error) ? .warning : .debug,
                "Failed to read the volume of a claim, retrying",
                metadata: ["PVC": ["namespace": "\(lookup.namespace)", "name": "\(lookup.name)"], "err": "\(error)"]
            )
            return error.code == .forbidden ? .forbidden : .failed
        }
    }
}

/// Which kinds of failed requests were logged since the last request that succeeded, so that each is a warning once.
final class LoggedFailures: Sendable {
    private let codes = Mutex<Set<KubernetesError.Code>>([])

    func isFirst(_ error: KubernetesError) -> Bool { codes.withLock { $0.insert(error.code).inserted } }

    /// A rule that is missing for one namespace stays missing while requests for others succeed.
    func succeeded() { codes.withLock { $0.formIntersection([.forbidden]) } }
}
