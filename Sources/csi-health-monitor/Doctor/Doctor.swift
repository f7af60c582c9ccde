// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Flags
import GRPCTransport
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import LeaderElection
import Logging

/// The `doctor` command: checks the driver, the API server and the controller's permissions with the controller's
/// flags. Changes nothing in the cluster.
struct Doctor: Sendable {
    let options: ControllerOptions
    /// The variables of the client configuration, `POD_NAMESPACE` and `NODE_NAME`.
    let environment: [String: String]
    /// The time after which a check fails.
    let deadline: Duration
    private let logger = Logger(label: "doctor") { _ in SwiftLogNoOpLogHandler() }

    init(options: ControllerOptions, environment: [String: String], deadline: Duration = .seconds(10)) {
        self.options = options
        self.environment = environment
        self.deadline = deadline
    }

    /// Runs all checks. A failed check is a row of the report, and those that depend on it are skipped.
    func run() async -> DoctorReport {
        let (driverRows, driverName) = await checkDriver()
        return DoctorReport(rows: driverRows + (await checkCluster(driverName: driverName)))
    }

    // MARK: The driver

    /// Returns the name of the driver too; nil if the driver did not return it.
    private func checkDriver() async -> (rows: [DoctorRow], name: String?) {
        guard let path = SocketFile.path(of: options.csiAddress) else { return ([], nil) }
        let socket = DoctorRow.socket(SocketFile(path: path))
        let hint = "check the driver's log"
        let noCapabilities = DoctorRow.skipped("capabilities", "the driver is not ready")
        guard socket.status == .ok else {
            return ([socket, .skipped("driver", "the socket check failed"), noCapabilities], nil)
        }
        do {
            let driver = try CSIClient(
                configuration: .init(address: options.csiAddress, timeout: min(options.timeout, deadline)),
                logger: logger
            )
            let result = await within("driver", hint: hint) { () throws(CSIError) in try await driver.identity() }
            await driver.shutdown()
            switch result {
            case .success(let identity):
                let capabilities = DoctorRow.capabilities(DriverSupport(identity.controllerCapabilities), options)
                return ([socket, .driver(identity), capabilities], identity.name)
            case .failure(let failure): return ([socket, failure.row, noCapabilities], nil)
            }
        } catch {
            return ([socket, .failed("driver", "\(error)", hint: hint), noCapabilities], nil)
        }
    }

    // MARK: The cluster

    private func checkCluster(driverName: String?) async -> [DoctorRow] {
        let dependentChecks = ["clock", "permissions", "status field", "lease"]
        let configuration: KubernetesConfiguration
        let kubernetes: KubernetesClient
        do {
            let variables = environment.filter { KubernetesConfiguration.variables.contains($0.key) }
            configuration =
                if let kubeconfig = options.kubeconfig {
                    try KubernetesConfiguration.load(kubeconfig: kubeconfig, environment: variables)
                } else {
                    try KubernetesConfiguration.inCluster(environment: variables)
                }
            kubernetes = try KubernetesClient(
                configuration: configuration,
                userAgent: "csi-health-monitor/\(Program.version) doctor",
                rateLimit: nil,
                connectTimeout: deadline,
                requestTimeout: deadline,
                logger: logger
            )
        } catch {
            let row = DoctorRow.failed("API server", "\(error)", hint: "set --kubeconfig, or run doctor in the pod")
            return [row] + dependentChecks.map { .skipped($0, "there is no client configuration") }
        }
        let rows: [DoctorRow]
        let hint = "check the server's address, the network policies and the credentials"
        switch await within("API server", hint: hint, { try await kubernetes.serverInformation() }) {
        case .success(let information):
            let namespace =
                options.leaderElection?.namespace ?? environment["POD_NAMESPACE"] ?? configuration.defaultNamespace
            rows = [
                .ok("API server", "\(configuration) \(information.version)"),
                .clock(ahead: information.clockAhead),
                await permissions(kubernetes, namespace),
                await statusField(kubernetes),
                await lease(kubernetes, namespace, driverName),
            ]
        case .failure(let failure):
            rows = [failure.row] + dependentChecks.map { .skipped($0, "the API server check failed") }
        }
        await kubernetes.shutdown()
        return rows
    }

    private func permissions(_ kubernetes: KubernetesClient, _ namespace: String) async -> DoctorRow {
        let all = DoctorPermission.all(options, leaseNamespace: namespace)
        let hint = "the ClusterRole system:basic-user allows every user to create a SelfSubjectAccessReview"
        let result = await within("permissions", hint: hint) {
            var missing: [DoctorPermission] = []
            for permission in all where try await !kubernetes.isAllowed(permission.request) {
                missing.append(permission)
            }
            return missing
        }
        switch result {
        case .success(let missing): return .permissions(all, missing: missing)
        case .failure(let failure): return failure.row
        }
    }

    private func statusField(_ kubernetes: KubernetesClient) async -> DoctorRow {
        let hint = "check the permissions; admission webhooks with side effects reject dry runs"
        switch await within("status field", hint: hint, { try await StatusFieldTrial.run(kubernetes) }) {
        case .success(let trial): return .statusField(trial)
        case .failure(let failure):
            return .skipped("status field", failure.row.detail, hint: hint)
        }
    }

    private func lease(_ kubernetes: KubernetesClient, _ namespace: String, _ driverName: String?) async -> DoctorRow {
        guard options.leaderElection != nil else { return .skipped("lease", "--leader-election is not set") }
        guard let driverName else { return .skipped("lease", "its name contains the driver's name, which is unknown") }
        let node = options.nodeDeployment ? environment["NODE_NAME"] : nil
        let name = LeaseName.controller(driverName: driverName, nodeName: node)
        let result = await within("lease", hint: "check the permissions") { () -> LeaseSpec? in
            do {
                return try await kubernetes.get(Lease.self, name: name, namespace: namespace).spec
            } catch let error as KubernetesError where error.code == .notFound {
                return nil
            }
        }
        switch result {
        case .success(let spec): return .lease("\(namespace)/\(name)", spec, now: Time.now().seconds)
        case .failure(let failure): return failure.row
        }
    }
}

/// The row of a check that threw an error or timed out.
private struct CheckFailure: Error {
    var row: DoctorRow
}

extension Doctor {
    /// Runs a check. It fails with the error that `body` throws, or after ``deadline``: then `body` is cancelled, and
    /// awaited.
    private func within<Value: Sendable>(
        _ check: String,
        hint: String,
        _ body: @escaping @Sendable () async throws -> Value
    ) async -> Result<Value, CheckFailure> {
        await withTaskGroup(of: Result<Value, CheckFailure>.self) { group in
            group.addTask {
                do {
                    return .success(try await body())
                } catch {
                    return .failure(CheckFailure(row: .failed(check, "\(error)", hint: hint)))
                }
            }
            group.addTask {
                try? await ContinuousClock().sleep(for: deadline)
                let detail = "timed out after \(GoDuration(deadline))"
                return .failure(CheckFailure(row: .failed(check, detail, hint: hint)))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(CheckFailure(row: .failed(check, "no result", hint: hint)))
        }
    }
}
