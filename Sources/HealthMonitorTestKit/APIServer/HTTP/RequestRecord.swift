// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One request as the simulated API server served it.
///
/// It is in the journal before the client has its answer; that of a watch, when the watch has begun.
public struct RequestRecord: Sendable {
    /// What was asked.
    public var request: APIRequest
    /// The HTTP status of the answer; nil when the connection was cut instead.
    public var code: Int?
}
