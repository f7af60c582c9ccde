// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a test does to a request instead of letting the server serve it.
package enum Interception: Sendable {
    /// Responds with an error, in the encoding that the client accepts.
    case fail(StatusError, headers: [String: String] = [:])
    /// Responds with these bytes.
    case respond(status: Int, headers: [String: String] = [:], body: [UInt8])
    /// Cuts the connection without a response; the request is not served.
    case cut
    /// Serves the request and cuts the connection without a response: the client cannot know the outcome.
    case loseResponse
    /// Neither serves the request nor responds: the client waits until it gives up.
    case hold
    /// Serves the request and does not respond: the client waits until it gives up.
    case holdResponse
    /// Begins a response with status 200 and sends no body.
    case silence
}

/// Sees every request before it is served. The request waits until this returns; nil lets the server serve it.
package typealias Interceptor = @Sendable (APIRequest) async -> Interception?

/// Thrown to cut a connection in place of a response.
struct ConnectionCut: Error {}
