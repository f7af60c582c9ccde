// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import VolumeStatus

extension CheckReport {
    /// For `--output=json`. Facts that are unknown are absent.
    var structured: StructuredText {
        .members([
            "kind": .text("DriverCheckReport"),
            "driver": driver.map { .text(singleLine($0.name)) },
            "vendorVersion": driver.map { .text(singleLine($0.vendorVersion)) },
            "side": .text(side.rawValue),
            "verdict": .text(verdict),
            "exitCode": .integer(Int64(exitCode)),
            "checks": .list(results.map(\.structured)),
            "latencies": .list(latencies.map(\.structured)),
            "plan": plan.map(\.structured),
            "problem": problem.map(StructuredText.text),
            "leftBehind": leftover.map(StructuredText.text),
        ])
    }
}

extension CheckResult {
    fileprivate var structured: StructuredText {
        let definition = check.definition
        var result = "found"
        var detail: String?
        var found: [Problem] = []
        var unlisted: Int?
        switch outcome {
        case .passed(let measurement): (result, detail) = ("passed", measurement)
        case .skipped(let reason): (result, detail) = ("skipped", reason)
        case .deviated(let problems, let more): (found, unlisted) = (problems, more > 0 ? more : nil)
        }
        return .members([
            "id": .text(check.rawValue),
            "title": .text(definition.title),
            "section": .text(definition.section),
            "severity": .text(definition.severity.rawValue),
            "result": .text(result),
            "detail": detail.map(StructuredText.text),
            "findings": found.isEmpty ? nil : .list(found.map(\.structured)),
            "unlistedFindings": unlisted.map { .integer(Int64($0)) },
            "toDo": found.isEmpty ? nil : .text(definition.advice),
        ])
    }
}

extension Problem {
    fileprivate var structured: StructuredText {
        .members(["problem": .text(text), "sent": .text(sent), "received": .text(received)])
    }
}

extension MethodLatency {
    fileprivate var structured: StructuredText {
        .members([
            "method": .text(method),
            "calls": .integer(Int64(calls)),
            "p50Microseconds": .integer(median.microseconds),
            "p99Microseconds": .integer(p99.microseconds),
        ])
    }
}

extension MonitorPlan {
    fileprivate var structured: StructuredText {
        .members([
            "strategy": .text(strategy),
            "calls": .text(calls),
            "volumes": .integer(Int64(volumes)),
            "callsPerMinute": .text(rate),
            "cannotSee": .list(blindSpots.map(StructuredText.text)),
            "consequences": .list(
                consequences.map { .members(["id": .text($0.check.rawValue), "effect": .text($0.effect)]) }
            ),
        ])
    }
}

extension Duration {
    fileprivate var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
