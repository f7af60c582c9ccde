// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The result of one check.
package struct CheckResult: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        /// With a measurement, if the check measures.
        case passed(String?)
        /// The first distinct problems, and the number of further occurrences.
        case deviated([Problem], more: Int)
        /// With the reason.
        case skipped(String)
    }

    package var check: Check
    package var outcome: Outcome

    package init(_ check: Check, _ outcome: Outcome) {
        self.check = check
        self.outcome = outcome
    }

    package var deviates: Bool {
        if case .deviated = outcome { true } else { false }
    }
}

/// One deviation.
package struct Problem: Sendable, Hashable {
    package var text: String
    package var sent: String
    package var received: String

    package init(_ text: String, sent: String, received: String) {
        self.text = text
        self.sent = sent
        self.received = received
    }
}

/// Collects the results of checks. A check that has examined nothing is skipped.
struct Findings: Sendable {
    static let keptProblems = 3

    private var problems: [Check: [Problem]] = [:]
    private var counts: [Check: Int] = [:]
    private var measurements: [Check: String] = [:]
    private var examined: Set<Check> = []
    private var reasons: [Check: String] = [:]

    /// Records that a check was made on an exchange; `problem` is nil where it found nothing.
    mutating func examine<Reply>(_ check: Check, _ exchange: Exchange<Reply>, _ problem: String? = nil) {
        examined.insert(check)
        guard let problem else { return }
        add(check, Problem(problem, sent: exchange.sent, received: exchange.received))
    }

    mutating func measured(_ check: Check, _ text: String) {
        examined.insert(check)
        measurements[check] = text
    }

    mutating func skip(_ check: Check, _ reason: String) {
        reasons[check] = reason
    }

    /// Keeps the first distinct problems. A further occurrence, of these or of others, is only counted.
    private mutating func add(_ check: Check, _ problem: Problem) {
        counts[check, default: 0] += 1
        var kept = problems[check, default: []]
        guard kept.count < Self.keptProblems,
            !kept.contains(where: { ($0.text, $0.sent) == (problem.text, problem.sent) })
        else { return }
        kept.append(problem)
        problems[check] = kept
    }

    func results(of checks: some Sequence<Check>) -> [CheckResult] {
        checks.map { check in
            if let found = problems[check] {
                CheckResult(check, .deviated(found, more: counts[check, default: 0] - found.count))
            } else if examined.contains(check) {
                CheckResult(check, .passed(measurements[check]))
            } else {
                CheckResult(check, .skipped(reasons[check] ?? check.definition.skipReason))
            }
        }
    }
}

/// The beginning of a text from the driver, in quotation marks.
func excerpt(_ text: String) -> String {
    "\"" + singleLine(text, toBytes: 80) + "\""
}

/// The beginning of a text, at most `limit` bytes of UTF-8, on one line. Line separators, control characters and format
/// characters (which change the direction of a text, or do not show) become spaces. A text that is cut ends in three
/// dots.
package func singleLine(_ text: String, toBytes limit: Int = 300) -> String {
    let kept = bounded(text, toBytes: limit)
    var line = String.UnicodeScalarView()
    for scalar in kept.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: line.append(" ")
        default: line.append(scalar)
        }
    }
    return kept.utf8.count < text.utf8.count ? String(line) + "..." : String(line)
}
