// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
package import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging

/// A dependency of this replica has failed for ``MonitorConfiguration/dependencyTimeout``: the lease is released,
/// because another replica may do better.
package struct DependencyError: Error, CustomStringConvertible {
    package var dependency: Dependency
    /// What failed, for how long and why.
    package var description: String
}

/// Ends terms in which a dependency fails for too long, and checks whether the driver works.
struct DependencyWatcher: Sendable {
    let context: MonitorContext
    let prober: Prober

    private var configuration: MonitorConfiguration { context.configuration }
    private var dependencies: DependencyTracker { context.dependencies }
    private var driver: CSIClient { context.driver }
    private var time: ElapsedTime { context.time }

    /// How long a standby whose health calls have failed does not compete for the lease.
    private static let memoryOfFailedCalls = Duration.seconds(300)

    /// Whether this replica is fit to lead, as far as is known: its driver is connected, and no dependency fails.
    var isReadyToLead: Bool { driver.isConnected && dependencies.failures.isEmpty }

    /// Waits until a dependency has failed for too long in this term.
    ///
    /// - Throws: ``DependencyError``; `CancellationError`.
    func endTermOnFailure() async throws {
        guard let timeout = configuration.dependencyTimeout else { return try await suspendUntilCancelled() }
        while true {
            // Where volumes are probed one by one, each is probed once in an interval: only after one have all calls
            // failed. A quarter more, because the call for the only volume that works may take longer than its last one.
            let interval = prober.intervalOfFailingCalls(dependencies.failure(of: .calls)) * 5 / 4
            let callsTimeout = prober.isWithoutList ? max(timeout, interval) : timeout
            switch dependencies.verdict(timeout: timeout, callsTimeout: callsTimeout, at: time.now) {
            case .keep: await dependencies.changed.wait()
            case .keepUntil(let end): await time.wait(for: dependencies.changed, until: end)
            case .stepDown(let failure):
                let seconds = (time.now - failure.since).components.seconds
                throw DependencyError(
                    dependency: failure.dependency,
                    description: "\(failure.dependency.failureText) for \(seconds)s: \(failure.reason)"
                )
            }
            try Task.checkCancellation()
        }
    }

    /// While leading, calls Identity/Probe at an interval and as soon as the connection breaks, so that a driver that
    /// has terminated or hangs is detected before the next list. After a failure all Identity calls must succeed.
    ///
    /// - Throws: only `CancellationError`.
    func checkDriver() async throws {
        guard let interval = configuration.driverCheckInterval else { return try await suspendUntilCancelled() }
        while true {
            let began = time.now
            do throws(CSIError) {
                if dependencies.failure(of: .driver) == nil {
                    try await driver.probe()
                } else {
                    _ = try await driver.identity()
                }
                dependencies.succeeded(.driver)
            } catch {
                try Task.checkCancellation()
                dependencies.failed(.driver, reason: driver.explanation(of: error), since: began)
                // The driver may come back in another version: it is identified before any other call.
                prober.interrupt()
            }
            // The driver may close every connection at once: avoids a tight loop.
            try await time.sleep(for: .seconds(1))
            await driver.waitUntilDisconnected(atMost: interval, time)
            try Task.checkCancellation()
        }
    }

    /// While leading, lists one object of each watched resource at an interval. The API server authorizes a watch when
    /// it begins, and keeps it open for minutes after its RBAC rule was removed (k8s.io/apiserver,
    /// pkg/endpoints/handlers/get.go, `ListResource`). A standby goes on until it is allowed to list again.
    ///
    /// RBAC: `list` on `persistentvolumes` and `persistentvolumeclaims`.
    ///
    /// - Throws: only `CancellationError`.
    func checkPermissions(isLeading: () -> Bool) async throws {
        guard let interval = configuration.permissionCheckInterval else { return try await suspendUntilCancelled() }
        var refused: Set<Dependency> = []
        while true {
            try await time.sleep(for: interval)
            guard isLeading() || !refused.isEmpty else { continue }
            try await check(.volumes, WatchedVolume.self, &refused)
            try await check(.claims, WatchedClaim.self, &refused)
        }
    }

    private func check<O: ListedObject>(
        _ dependency: Dependency,
        _: O.Type,
        _ refused: inout Set<Dependency>
    ) async throws {
        let began = time.now
        do throws(KubernetesError) {
            try await context.kubernetes.latestResourceVersion(O.self)
            // What the watch itself has found stays: the rule for `watch` may be missing.
            if refused.remove(dependency) != nil { dependencies.succeeded(dependency) }
        } catch {
            try Task.checkCancellation()
            guard [.forbidden, .unauthorized].contains(error.code) else { return }
            refused.insert(dependency)
            dependencies.watchFailed(dependency, error, at: began)
        }
    }

    /// While this replica is a standby whose driver has failed, calls the driver's Identity service until it works
    /// again. Only the leader makes health calls: on a standby, their failure is forgotten after
    /// ``memoryOfFailedCalls``.
    ///
    /// - Throws: only `CancellationError`.
    func recheckOnStandby(isLeading: () -> Bool) async throws {
        guard configuration.dependencyTimeout != nil else { return try await suspendUntilCancelled() }
        while true {
            try await time.sleep(for: configuration.driverCheckInterval ?? .seconds(10))
            guard !isLeading() else { continue }
            if let failure = dependencies.failure(of: .calls), failure.last + Self.memoryOfFailedCalls <= time.now {
                dependencies.succeeded(.calls)
            }
            guard dependencies.failure(of: .driver) != nil else { continue }
            do {
                _ = try await driver.identity()
                dependencies.succeeded(.driver)
                context.logger.notice("CSI driver is ready")
            } catch {
                try Task.checkCancellation()
            }
        }
    }
}

extension CSIClient {
    /// Returns when the connection breaks, after `limit`, or on cancellation.
    func waitUntilDisconnected(atMost limit: Duration, _ time: ElapsedTime) async {
        await withTaskGroup { group in
            group.addTask { await self.waitUntilDisconnected() }
            group.addTask { try? await time.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}

extension Dependency {
    fileprivate var failureText: String {
        switch self {
        case .driver: "the CSI driver has not responded"
        case .calls: "calls for the health of volumes have failed"
        case .volumes: "watching persistentvolumes was refused"
        case .claims: "watching persistentvolumeclaims was refused"
        }
    }
}
