// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension CheckReport {
    /// For people: one line for each check, what was found below it, and what the monitor would do.
    package var text: String {
        var lines: [String] = []
        if let driver {
            let version = driver.vendorVersion.isEmpty ? "" : " \(singleLine(driver.vendorVersion, toBytes: 100))"
            lines += ["driver \(singleLine(driver.name, toBytes: 100))\(version), \(side.rawValue) side", ""]
        }
        for result in results { lines += result.lines }
        if !results.isEmpty { lines += ["", summary] }
        if let plan { lines += [""] + plan.lines }
        if exitCode == 1, let problem { lines += ["", "INCOMPLETE: \(problem)"] }
        if let leftover { lines += ["", "LEFT BEHIND: \(leftover)"] }
        lines += ["", "verdict: \(verdict)"]
        return lines.drop { $0.isEmpty }.joined(separator: "\n") + "\n"
    }

    /// One word, and why.
    package var verdict: String {
        switch exitCode {
        case 0: "pass"
        case 1: "fail"
        default: "could not run: \(problem ?? "")"
        }
    }
}

extension CheckResult {
    fileprivate var lines: [String] {
        let definition = check.definition
        switch outcome {
        case .passed(let measurement):
            return ["ok       \(check.rawValue)  \(definition.title)"]
                + (measurement.map { $0.split(separator: "; ").map { "               \($0)" } } ?? [])
        case .skipped(let reason): return ["skipped  \(check.rawValue)  \(definition.title): \(reason)"]
        case .deviated(let problems, let more):
            let severity = definition.severity.rawValue
            let head = severity.uppercased() + String(repeating: " ", count: 9 - severity.utf8.count)
            return ["\(head)\(check.rawValue)  \(definition.title) [\(definition.section)]"]
                + problems.flatMap { problem in
                    [
                        "               \(singleLine(problem.text))",
                        "               sent:     \(problem.sent)",
                        "               received: \(problem.received)",
                    ]
                } + (more > 0 ? ["               and \(more) more"] : [])
                + ["               to do:    \(definition.advice)"]
        }
    }
}

extension MonitorPlan {
    fileprivate var lines: [String] {
        var lines = ["csi-health-monitor with this driver, at its default flags:"]
        lines.append("  strategy: \(strategy)")
        lines.append("  calls: \(calls); \(rate) per minute for \(volumes) volume\(volumes == 1 ? "" : "s")")
        lines += blindSpots.map { "  cannot see: \($0)" }
        lines += consequences.map { "  \($0.check.rawValue): \($0.effect)" }
        return lines
    }

    /// With one decimal below 10.
    package var rate: String {
        let tenths = Int((callsPerMinute * 10).rounded())
        return callsPerMinute < 10 && tenths % 10 != 0 ? "\(tenths / 10).\(tenths % 10)" : "\((tenths + 5) / 10)"
    }
}
