// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// One check of `doctor` and its result.
struct DoctorRow: Sendable, Equatable {
    enum Status: String, Sendable {
        case ok
        case warning
        case failed
        case skipped
    }

    var status: Status
    /// One or two words.
    var check: String
    var detail: String
    /// How to fix it.
    var hint: String?

    static func ok(_ check: String, _ detail: String) -> DoctorRow {
        DoctorRow(status: .ok, check: check, detail: detail)
    }

    static func warning(_ check: String, _ detail: String, hint: String) -> DoctorRow {
        DoctorRow(status: .warning, check: check, detail: detail, hint: hint)
    }

    static func failed(_ check: String, _ detail: String, hint: String) -> DoctorRow {
        DoctorRow(status: .failed, check: check, detail: detail, hint: hint)
    }

    static func skipped(_ check: String, _ detail: String, hint: String? = nil) -> DoctorRow {
        DoctorRow(status: .skipped, check: check, detail: detail, hint: hint)
    }
}

struct DoctorReport: Sendable, Equatable {
    var rows: [DoctorRow] = []

    /// 1 if a check failed, otherwise 0.
    var exitCode: Int32 { rows.contains { $0.status == .failed } ? 1 : 0 }

    /// A table with a line for each check and for each hint.
    var text: String {
        var lines = [Self.line("STATUS", "CHECK", "DETAIL")]
        for row in rows {
            lines.append(Self.line(row.status.rawValue, row.check, row.detail))
            if let hint = row.hint { lines.append(Self.line("", "", "hint: \(hint)")) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ status: String, _ check: String, _ detail: String) -> String {
        padded(status, 9) + padded(check, 14) + printable(detail)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
