// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One request as the simulated API server served it.
///
/// It is in the journal before the client has its answer; that of a watch, when the watch has begun.
package struct RequestRecord: Sendable {
    /// What was asked.
    package var request: APIRequest
    /// The HTTP status of the answer; nil when the client got none.
    package var code: Int?
    /// The HTTP status that the cluster came to, whether or not the client was reported; nil when the request was kept from
    /// it.
    package var served: Int?
    /// When.
    package var time = ContinuousClock.now

    /// A record.
    package init(request: APIRequest, code: Int? = nil, served: Int? = nil) {
        self.request = request
        self.code = code
        self.served = served
    }

    /// Whether it was a write that the cluster has stored, whether or not the client received the response. A dry run does not count.
    package var isWritten: Bool {
        guard let served, let verb = request.verb, request.query["dryRun"] == nil else { return false }
        return (200..<300).contains(served) && [.create, .update, .patch, .delete].contains(verb)
    }
}
