// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The verdict on a driver.
package struct CheckReport: Sendable {
    package var side: Check.Side
    /// nil if it is not known.
    package var driver: PluginInfo?
    /// In the order of their ids; empty if the driver could not be called.
    package var results: [CheckResult] = []
    package var latencies: [MethodLatency] = []
    package var plan: MonitorPlan?
    /// Why the check could not run.
    package var problem: String?
    /// A volume that was created and not deleted.
    package var leftover: String?

    package init(side: Check.Side, problem: String? = nil) {
        self.side = side
        self.problem = problem
    }

    /// The findings of a severity.
    package func findings(_ severity: Check.Severity) -> [CheckResult] {
        results.filter { $0.deviates && $0.check.definition.severity == severity }
    }

    /// 0 pass, 1 errors found, 2 could not run.
    package var exitCode: Int32 {
        if !findings(.error).isEmpty || leftover != nil && problem == nil { return 1 }
        return problem == nil ? 0 : 2
    }

    /// `2 errors, 1 warning, 0 infos, 28 passed, 5 skipped`
    package var summary: String {
        let counts = Check.Severity.allCases.map { severity in
            let count = findings(severity).count
            return "\(count) \(severity.rawValue)\(count == 1 ? "" : "s")"
        }
        let passed = results.count { if case .passed = $0.outcome { true } else { false } }
        let skipped = results.count { if case .skipped = $0.outcome { true } else { false } }
        return (counts + ["\(passed) passed", "\(skipped) skipped"]).joined(separator: ", ")
    }
}
