// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Flags
import HTTPEndpoint
import KubernetesClient
import LeaderElection

/// The input: arguments, one on each line; when the first is not a flag, values of flags.
///
/// An error is one line. Accepted options are valid, and accepted values can be formatted and parsed again.
enum FlagLists {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var lines: [String] = []
        while !input.isEmpty { lines.append(String(decoding: input.line(), as: UTF8.self)) }
        if lines.first?.utf8.first == UInt8(ascii: "-") {
            try check(arguments: lines)
        } else {
            for line in lines { try check(value: line) }
        }
    }

    private static func check(arguments: [String]) throws(InvariantViolation) {
        let options: ControllerOptions
        do {
            let normalized = try GoArguments.normalized(arguments, booleans: ControllerFlags.booleans)
            let again = try GoArguments.normalized(normalized, booleans: ControllerFlags.booleans)
            if again != normalized { throw InvariantViolation(message: "\(normalized) is normalized to \(again)") }
            options = try ControllerOptions(try ControllerFlags.parse(normalized))
        } catch let violation as InvariantViolation {
            throw violation
        } catch {
            let message = ControllerFlags.message(for: error)
            let isLine = !message.isEmpty && !message.utf8.contains(UInt8(ascii: "\n"))
            // The help has many lines.
            return try require(
                isLine || ControllerFlags.exitCode(for: error) == .success,
                "the error is not one line: \(message)"
            )
        }
        try check(options)
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
        if let limit = options.rateLimit {
            try require(limit.queriesPerSecond > 0 && limit.queriesPerSecond.isFinite, "a rate of \(limit)")
            try require(limit.burst > 0, "a burst of \(limit)")
            try checkTurns(limit)
        }
        if let endpoint = options.endpoint {
            try require(endpoint.metricsPath.hasPrefix("/"), "metrics under \(endpoint.metricsPath)")
        }
        if let timing = options.leaderElection?.timing {
            try require(
                timing.leaseDuration > timing.renewDeadline && timing.renewDeadline > timing.retryPeriod,
                "the timing allows two leaders: \(timing)"
            )
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
