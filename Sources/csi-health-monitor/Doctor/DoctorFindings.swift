// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Flags
import GRPCTransport
import HealthRuntime
import KubernetesAPI
import KubernetesClient

// What each check makes of what was found; nothing here reads a socket, a file or a clock.

extension DoctorRow {
    static func socket(_ file: SocketFile) -> DoctorRow {
        guard let problem = file.problem else { return .ok("socket", file.path) }
        return .failed(
            "socket",
            problem,
            hint: "start the CSI driver, or set --csi-address to the socket that it listens on"
        )
    }

    static func driver(_ identity: DriverIdentity) -> DoctorRow {
        .ok("driver", "\(identity.name) \(identity.vendorVersion), ready")
    }

    static func capabilities(_ support: DriverSupport, _ options: ControllerOptions) -> DoctorRow {
        guard let method = support.method else {
            return .failed(
                "capabilities",
                "none that reports health",
                hint: support.problem ?? "use a driver that reports health"
            )
        }
        let detail =
            support.isList
            ? "\(method) every \(GoDuration(options.listVolumesInterval))"
            : "\(method) of each volume every \(GoDuration(options.monitorInterval))"
        if let problem = support.problem {
            return .warning("capabilities", "\(detail): \(problem)", hint: "report it to the driver's maintainers")
        }
        return .ok("capabilities", detail)
    }

    /// - Parameter ahead: how far this machine's clock is ahead of the server's header Date, which has whole seconds.
    static func clock(ahead: Duration?) -> DoctorRow {
        guard let ahead else { return .skipped("clock", "the API server's response has no header Date") }
        let seconds = ahead.components.seconds
        let detail = "\(abs(seconds))s \(seconds < 0 ? "behind" : "ahead of") the API server's header Date"
        guard abs(seconds) > 5 else { return .ok("clock", "within 5s of the API server's header Date") }
        return .warning(
            "clock",
            detail,
            hint: "synchronise the clocks (NTP): times of events and of the status come from this machine"
        )
    }

    static func permissions(_ all: [DoctorPermission], missing: [DoctorPermission]) -> DoctorRow {
        guard !missing.isEmpty else { return .ok("permissions", "\(all.count) of \(all.count) allowed") }
        let names = missing.map { permission in
            var request = permission.request
            request.namespace = nil
            return request.description + (permission.request.namespace.map { " in \($0)" } ?? "")
        }
        let detail =
            "\(all.count - missing.count) of \(all.count) allowed, missing: \(names.joined(separator: ", "))"
        let hint = "add to the role: " + missing.map(\.request.rbacRule).joined(separator: ", ")
        return missing.contains(where: \.isRequired)
            ? .failed("permissions", detail, hint: hint) : .warning("permissions", detail, hint: hint)
    }

    static func statusField(_ trial: StatusFieldTrial) -> DoctorRow {
        switch trial {
        case .kept: .ok("status field", "the API server keeps status.healthStatus (dry run)")
        case .dropped:
            .warning(
                "status field",
                "the API server drops status.healthStatus (dry run)",
                hint: "it needs Kubernetes 1.37 and the feature gate CSIVolumeHealth; see --claim-condition"
            )
        case .noClaim: .skipped("status field", "there is no PersistentVolumeClaim to try it on")
        }
    }

    /// - Parameters:
    ///   - spec: nil where there is no Lease.
    ///   - now: the wall clock, in seconds since 1970.
    static func lease(_ name: String, _ spec: LeaseSpec?, now: Int64) -> DoctorRow {
        guard let spec else { return .ok("lease", "\(name) does not exist yet, the first replica creates it") }
        guard !spec.holderIdentity.isEmpty else { return .ok("lease", "\(name) has no holder") }
        let age = max(0, now - spec.renewTime.seconds)
        let detail = "\(name) is held by \(spec.holderIdentity), renewed \(GoDuration(.seconds(age))) ago"
        guard age > Int64(spec.leaseDurationSeconds) else { return .ok("lease", detail) }
        return .warning(
            "lease",
            "\(detail), lease duration \(GoDuration(.seconds(Int(spec.leaseDurationSeconds))))",
            hint: "the holder does not renew it: look at its log; another replica may take it"
        )
    }
}

/// A permission that the monitor uses with these flags: a rule of manifests/.
struct DoctorPermission: Sendable, Equatable {
    var request: RequestInfo
    /// Whether volumes are not monitored, or not reported by events, without it.
    var isRequired = true

    /// - Parameter leaseNamespace: of the Lease, and of Secrets.
    static func all(_ options: ControllerOptions, leaseNamespace: String) -> [DoctorPermission] {
        var all = requests(PersistentVolume.resource, [.list, .watch])
        all += requests(PersistentVolumeClaim.resource, [.list, .watch])
        all += requests(PersistentVolumeClaim.resource, [.get], isRequired: false)
        all.append(
            // Roles made for external-health-monitor do not have it: events report all the same.
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
            // The Secrets may be in other namespaces: PersistentVolumes name them.
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
