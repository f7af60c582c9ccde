// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A parser of bytes from outside, with invariants that must hold for any input.
///
/// A target is pure: it opens no sockets and no files that the input names, starts no tasks and does not wait. The
/// result depends on the input only.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// The API server: watches, split anywhere, and pages of lists.
    case watchFrames = "watch-frames"
    /// The API server: error responses.
    case statusErrors = "status-errors"
    /// The CSI driver: replies, and the health state after them.
    case driverReplies = "driver-replies"
    /// The API server: pods, claims and volumes as an agent reads them.
    case nodeObjects = "node-objects"
    /// The CSI drivers of a node: replies, and the state of the node after them.
    case nodeReplies = "node-replies"
    /// The registration sockets of CSI drivers: PluginInfo.
    case registrations
    /// A kubeconfig file.
    case kubeconfig
    /// The arguments of the program.
    case flags
    /// HTTP requests to the diagnostics endpoint.
    case endpointRequest = "endpoint-request"
    /// Label values in the text that Prometheus scrapes.
    case metricsText = "metrics-text"

    /// Runs the target on an input.
    ///
    /// - Throws: ``InvariantViolation`` when an invariant does not hold. A crash is a failure too.
    package func run(_ bytes: [UInt8]) throws(InvariantViolation) {
        var input = FuzzInput(bytes)
        switch self {
        case .watchFrames: try WatchFrames.run(&input)
        case .statusErrors: try StatusErrors.run(&input)
        case .driverReplies: try DriverReplies.run(&input)
        case .nodeObjects: try NodeObjects.run(&input)
        case .nodeReplies: try NodeReplies.run(&input)
        case .registrations: try Registrations.run(&input)
        case .kubeconfig: try Kubeconfigs.run(&input)
        case .flags: try FlagLists.run(&input)
        case .endpointRequest: try EndpointRequests.run(&input)
        case .metricsText: try MetricsText.run(&input)
        }
    }
}

/// An invariant does not hold.
package struct InvariantViolation: Error, CustomStringConvertible {
    package var message: String

    package var description: String { message }
}

/// Throws unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(InvariantViolation) {
    if !condition { throw InvariantViolation(message: message()) }
}
