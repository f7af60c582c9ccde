// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Flags
import HTTPEndpoint
import KubernetesClient
import LeaderElection
import NodeMonitor

/// The input: arguments, one on each line, of the controller, or of the agent after a line `agent`; when the first is
/// not a flag, values of flags.
///
/// An error is one line. Accepted options are valid, and accepted values can be formatted and parsed again.
enum FlagLists {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var lines: [String] = []
        while !input.isEmpty { lines.append(String(decoding: input.line(), as: UTF8.self)) }
        if lines.first == "agent" {
            let options = try options(Array(lines.dropFirst()), booleans: AgentFlags.booleans) {
                try AgentOptions(try AgentFlags.parse($0), nodeName: "node")
            } describe: {
                (AgentFlags.message(for: $0), isSuccess: AgentFlags.exitCode(for: $0) == .success)
            }
            if let options { try check(options) }
        } else if lines.first?.utf8.first == UInt8(ascii: "-") {
            let options = try options(lines, booleans: ControllerFlags.booleans) {
                try ControllerOptions(try ControllerFlags.parse($0))
            } describe: {
                (ControllerFlags.message(for: $0), isSuccess: ControllerFlags.exitCode(for: $0) == .success)
            }
            if let options { try check(options) }
        } else {
            for line in lines { try check(value: line) }
        }
    }

    /// The options of a command; nil for invalid arguments, whose error is one line.
    private static func options<Options>(
        _ arguments: [String],
        booleans: Set<String>,
        parse: ([String]) throws -> Options,
        describe: (any Error) -> (message: String, isSuccess: Bool)
    ) throws(InvariantViolation) -> Options? {
        do {
            let normalized = try GoArguments.normalized(arguments, booleans: booleans)
            let again = try GoArguments.normalized(normalized, booleans: booleans)
            if again != normalized { throw InvariantViolation(message: "\(normalized) is normalized to \(again)") }
            return try parse(normalized)
        } catch let violation as InvariantViolation {
            throw violation
        } catch {
            let (message, isSuccess) = describe(error)
            let isLine = !message.isEmpty && !message.utf8.contains(UInt8(ascii: "\n"))
            // The help has many lines.
            try require(isLine || isSuccess, "the error is not one line: \(message)")
            return nil
        }
    }

    private static func check(value: String) throws(InvariantViolation) {
        if let duration = GoDuration(parsing: value) {
            try require(
                GoDuration(parsing: duration.description) == duration,
                "\(value) is formatted as \(duration), which is another duration or invalid"
            )
        }
        if let labels = try? Labels(flag: value) {
            let again = try? Labels(flag: labels.flagText)
            try require(again?.values == labels.values, "\(value) is formatted as \(labels.flagText)")
        }
        if let names = try? DriverNames(flag: value) {
            let again = try? DriverNames(flag: names.flagText)
            try require(again == names, "\(value) is formatted as \(names.flagText)")
        }
        if let address = try? ListenAddress(parsing: value) {
            let again = try? ListenAddress(parsing: "\(address)")
            try require(again == address, "\(value) is formatted as \(address)")
        }
    }

    private static func check(_ options: ControllerOptions) throws(InvariantViolation) {
        for duration in [options.timeout, options.listVolumesInterval, options.monitorInterval] {
            try require(duration > .zero, "a duration of \(duration)")
        }
        try require(options.nodeFailureDuration ?? .seconds(1) > .zero, "the node failure duration is not positive")
        try require(options.listMaxEntries >= 0 && options.workerThreads > 0, "a number is out of range: \(options)")
        try check(options.rateLimit, options.endpoint)
        if let timing = options.leaderElection?.timing {
            try require(
                timing.leaseDuration > timing.renewDeadline && timing.renewDeadline > timing.retryPeriod,
                "the timing allows two leaders: \(timing)"
            )
        }
    }

    private static func check(_ options: AgentOptions) throws(InvariantViolation) {
        for duration in [options.timeout, options.monitorInterval] {
            try require(duration > .zero, "a duration of \(duration)")
        }
        try require(options.workerThreads > 0, "a number is out of range: \(options)")
        let root = options.kubeletRootPath
        try require(root.hasPrefix("/") && !root.hasSuffix("/"), "the kubelet's directory is \(root)")
        try require(options.readinessCondition || !options.legacyReadiness, "an option has no effect: \(options)")
        if case .registered(let only, let except) = options.drivers {
            try require(only.isDisjoint(with: except), "a driver is selected and excluded: \(options)")
        }
        try check(options.rateLimit, options.endpoint)
    }

    private static func check(
        _ limit: RateLimit?,
        _ endpoint: DiagnosticsEndpoint.Configuration?
    ) throws(InvariantViolation) {
        if let limit {
            try require(limit.queriesPerSecond > 0 && limit.queriesPerSecond.isFinite, "a rate of \(limit)")
            try require(limit.burst > 0, "a burst of \(limit)")
            try checkTurns(limit)
        }
        if let endpoint {
            try require(endpoint.metricsPath.hasPrefix("/"), "metrics under \(endpoint.metricsPath)")
        }
    }

    /// Requests wait in the order of their arrival.
    private static func checkTurns(_ limit: RateLimit) throws(InvariantViolation) {
        var bucket = TokenBucket(limit, now: .zero)
        var last = Duration.zero
        for _ in 0..<10 {
            let wait = bucket.take(now: .seconds(1))
            try require(wait >= last, "a request waits \(wait), an earlier one \(last)")
            last = wait
        }
    }
}
