// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Something that reads bytes from outside, with what must hold whatever the bytes are.
///
/// A target is pure: it opens no socket and no file that the bytes name, starts no task and waits for nothing. The same
/// bytes have the same result.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// The API server: watches, cut anywhere, and pages of lists.
    case watchFrames = "watch-frames"
    /// The API server: answers that are errors.
    case statusErrors = "status-errors"
    /// The CSI driver: replies, and what the healthState makes of them.
    case driverReplies = "driver-replies"
    /// A kubeconfig file.
    case kubeconfig
    /// The arguments of the program.
    case flags
    /// HTTP requests to the diagnostics endpoint.
    case endpointRequest = "endpoint-request"
    /// Label values, on their way into the text that Prometheus scrapes.
    case metricsText = "metrics-text"

    /// Reads the bytes.
    ///
    /// - Throws: ``InvariantViolation`` when something does not hold that must. A crash is a failure too.
    package func run(_ bytes: [UInt8]) throws(InvariantViolation) {
        var input = FuzzInput(bytes)
        switch self {
        case .watchFrames: try WatchFrames.run(&input)
        case .statusErrors: try StatusErrors.run(&input)
        case .driverReplies: try DriverReplies.run(&input)
        case .kubeconfig: try Kubeconfigs.run(&input)
        case .flags: try FlagLists.run(&input)
        case .endpointRequest: try EndpointRequests.run(&input)
        case .metricsText: try MetricsText.run(&input)
        }
    }
}

/// Something does not hold that must, whatever the bytes are.
package struct InvariantViolation: Error, CustomStringConvertible {
    /// What.
    package var message: String

    /// What does not hold.
    package var description: String { message }
}

/// Throws unless `condition` holds; the message says what should.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(InvariantViolation) {
    if !condition { throw InvariantViolation(message: message()) }
}
