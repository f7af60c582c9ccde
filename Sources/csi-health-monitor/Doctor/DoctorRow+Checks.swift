// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Flags
import GRPCTransport
import HealthRuntime
import KubernetesAPI
import KubernetesClient

// The result of each check as a pure function of its findings: nothing here reads a socket, a file or a clock.

extension DoctorRow {
    static func socket(_ file: SocketFile) -> DoctorRow {
        guard let problem = file.problem else { return .ok("socket", file.path) }
        // What to do about a lack of permission is in its description.
        let isForbidden = if case .forbidden = file.state { true } else { false }
        return DoctorRow(
            status: .failed,
            check: "socket",
            detail: problem,
            hint: isForbidden ? nil : "start the CSI driver, or set --csi-address to its socket"
        )
    }

    static func driver(_ identity: DriverIdentity) -> DoctorRow {
        .ok("driver", "\(identity.name) \(identity.vendorVersion), ready")
    }

    static func capabilities(_ support: DriverSupport, _ options: ControllerOptions) -> DoctorRow {
        guard let method = support.method else {
            return .failed(
                "capabilities",
                "the driver does not report volume health",
                hint: support.problem ?? "use a driver that reports volume health"
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

    /// - Parameter ahead: how far this machine's clock is ahead of the server's Date header, which has whole seconds.
    static func clock(ahead: Duration?) -> DoctorRow {
        guard let ahead else { return .skipped("clock", "the API server's response has no Date header") }
        let seconds = ahead.components.seconds
        let detail = "\(abs(seconds))s \(seconds < 0 ? "behind" : "ahead of") the API server's Date header"
        guard abs(seconds) > 5 else { return .ok("clock", "within 5s of the API server's Date header") }
        return .warning(
            "clock",
            detail,
            hint: "synchronize the clocks: this machine sets the timestamps of events and of the status"
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
                hint: "it requires Kubernetes 1.37 and the feature gate CSIVolumeHealth; see --claim-condition"
            )
        case .noClaim:
            .skipped("status field", "no claim to try it on: none exists, or the first 20 have the field already")
        }
    }

    /// - Parameters:
    ///   - spec: nil if the Lease does not exist.
    ///   - now: the wall-clock time, in seconds since 1970.
    static func lease(_ name: String, _ spec: LeaseSpec?, now: Int64) -> DoctorRow {
        guard let spec else { return .ok("lease", "\(name) does not exist yet; the first replica creates it") }
        guard !spec.holderIdentity.isEmpty else { return .ok("lease", "\(name) has no holder") }
        let age = Duration.age(of: spec.renewTime.seconds, now: now)
        let detail = "\(name) is held by \(spec.holderIdentity), renewed \(GoDuration(age)) ago"
        guard age > .seconds(spec.leaseDurationSeconds) else { return .ok("lease", detail) }
        return .warning(
            "lease",
            "\(detail), lease duration \(GoDuration(.seconds(Int(spec.leaseDurationSeconds))))",
            hint: "the holder does not renew it: check its log; another replica may acquire it"
        )
    }
}
