// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a test does to a request instead of letting it be served.
package enum Interception: Sendable {
    /// Answers with an error, in the encoding that the client accepts.
    case fail(StatusError, headers: [String: String] = [:])
    /// Answers with anything at all.
    case answer(status: Int, headers: [String: String] = [:], body: [UInt8])
    /// Cuts the connection without an answer, before the request is served.
    case cut
    /// Serves the request and cuts the connection without an answer: the client cannot know what became of it.
    case loseAnswer
    /// Neither serves nor answers the request: the client waits until it gives up.
    case hold
    /// Serves the request and does not answer: the client waits until it gives up.
    case holdAnswer
    /// Begins an answer with status 200, and says nothing more.
    case silence
}

/// Sees every request before it is served. It delays the request for as long as it takes to return; nil lets the
/// request be served.
package typealias Interceptor = @Sendable (APIRequest) async -> Interception?

/// Thrown to cut a connection instead of ending an answer.
struct ConnectionCut: Error {}
