// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One request as the simulated API server served it.
///
/// It is in the journal before the client has its response; that of a watch, when the watch has begun.
package struct RequestRecord: Sendable {
    package var request: APIRequest
    /// The HTTP status of the response; nil when the client got none.
    package var code: Int?
    /// The HTTP status that the cluster decided on, whether or not the client received it; nil when the request was not
    /// served.
    package var served: Int?
    package var time = ContinuousClock.now

    package init(request: APIRequest, code: Int? = nil, served: Int? = nil) {
        self.request = request
        self.code = code
        self.served = served
    }

    /// Whether the cluster stored it, whether or not the client received the response. A dry run does not count.
    package var isWritten: Bool {
        guard let served, let verb = request.verb, request.query["dryRun"] == nil else { return false }
        return (200..<300).contains(served) && [.create, .update, .patch, .delete].contains(verb)
    }
}
