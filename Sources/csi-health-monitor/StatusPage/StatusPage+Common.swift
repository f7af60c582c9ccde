// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthCore

/// What the pages of the controller and of the agent have in common.
extension StatusPage {
    /// The length of a reason on a page, in bytes.
    static let maximumReasonBytes = 1024

    /// - Parameter now: seconds since 1970.
    static func footer(_ build: CommonMetrics.Build, at now: Double) -> String {
        "As of \(UTCDate(secondsSince1970: now).rfc3339). csi-health-monitor \(build.version) (\(build.revision))."
    }

    /// The different texts, in the same order.
    static func unique(_ texts: [String]) -> String {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }.joined(separator: ", ")
    }
}

extension StatusPage.Table {
    /// The checks that fail; nil while all are ok.
    static func problems(_ checks: [HealthChecks.Result]) -> StatusPage.Table? {
        let rows = checks.map(\.bounded).compactMap { check in
            check.failure.map { [check.name, $0.age.map { age($0.components.seconds) } ?? "", $0.reason] }
        }
        guard !rows.isEmpty else { return nil }
        return StatusPage.Table(title: "Problems", columns: ["Check", "For", "Reason"], rows: rows, placeholder: "")
    }
}

extension StatusPage.Link {
    /// To pages of the endpoint, by their paths.
    static func links(to paths: [String]) -> [StatusPage.Link] {
        paths.sorted().map { path in
            StatusPage.Link(path: path == HealthPath.readiness ? "\(path)?verbose" : path, text: path)
        }
    }
}

extension HealthChecks.Result {
    /// With texts of at most ``StatusPage/maximumReasonBytes``.
    var bounded: HealthChecks.Result {
        HealthChecks.Result(
            name: name,
            note: note.map { HealthCore.bounded($0, toBytes: StatusPage.maximumReasonBytes) },
            failure: failure.map {
                .init(age: $0.age, reason: HealthCore.bounded($0.reason, toBytes: StatusPage.maximumReasonBytes))
            }
        )
    }
}
