// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What can be wrong with an API server or with the way to it. Each lasts until it is ended; what happens at one moment
/// happens when it begins.
package enum APIServerFault: String, CaseIterable, Sendable {
    /// Nobody listens, and open connections are cut.
    case connectionRefused = "connection-refused"
    /// Connections are closed in the middle of the TLS handshake.
    case tlsHandshakeFailure = "tls-handshake-failure"
    /// The server's certificate has expired; at the end it is replaced.
    case certificateExpired = "certificate-expired"
    /// The token counts no more (401); at the end the file has the new one.
    case tokenRotated = "token-rotated"
    /// 401 for everything.
    case unauthorized
    /// 403 for events: a rule is missing.
    case forbiddenEvents = "forbidden-events"
    /// 403 for the status of claims: a rule is missing.
    case forbiddenStatus = "forbidden-status"
    /// 409 Conflict for every write.
    case conflict
    /// 410 for every list.
    case expiredList = "expired-list"
    /// 410 for every watch.
    case expiredWatch = "expired-watch"
    /// Watches end with a 410 inside, and the history is forgotten.
    case expiredInWatch = "expired-in-watch"
    /// 422 for every event and every status.
    case invalid
    /// 429 for everything, without a Retry-After.
    case tooManyRequests = "too-many-requests"
    /// 429 for everything, with a Retry-After of a second.
    case retryAfter = "retry-after"
    /// 500 for everything.
    case internalError = "internal-error"
    /// 503 for everything.
    case serviceUnavailable = "service-unavailable"
    /// Every open connection is cut.
    case connectionReset = "connection-reset"
    /// Every open watch is cut within a frame, one byte later each time that this begins.
    case frameCut = "frame-cut"
    /// Every watch expires; the watches that follow begin and send nothing, for ever: a proxy that keeps connections and
    /// forwards nothing. Ends for watches to come only; a client has to give up those that are silent.
    case silentWatches = "silent-watches"
    /// No watch gets a bookmark.
    case noBookmarks = "no-bookmarks"
    /// At the end all objects are put back to what they were at the beginning, versions too.
    case restoredFromBackup = "restored-from-backup"
    /// No request is served or answered.
    case noResponses = "no-responses"
    /// Writes but those of Leases are served, and their answers never come: a leader goes on, and writes again.
    case lateResponses = "late-responses"
    /// Writes but those of Leases are served, and the connection is cut before their answers.
    case lostResponses = "lost-responses"
    /// Writes of Leases are served, and the connection is cut before their answers.
    case lostLeaseResponses = "lost-lease-responses"
    /// The token of a list's second page has expired.
    case expiredPageToken = "expired-page-token"
    /// `status.healthStatus` is dropped from what is written: the feature gate is off.
    case statusFieldDropped = "status-field-dropped"
    /// The server shuts down with `--shutdown-send-retry-after`: watches end, everything is refused with 429, Retry-After
    /// and `Connection: close`; at the end connections are refused for a second, and another process listens.
    case shutdown
}

extension APIServerFault {
    /// What becomes of a request; nil lets the server serve it.
    func interception(of request: APIRequest) -> Interception? {
        let isWrite = request.verb.map { [.create, .update, .patch, .delete].contains($0) } ?? false
        let isReport = isWrite && ["events", "persistentvolumeclaims"].contains(request.resource)
        switch self {
        case .unauthorized: return .fail(.unauthorized)
        case .forbiddenEvents where request.resource == "events",
            .forbiddenStatus where request.subresource == "status":
            return .fail(.forbidden(request, user: request.user ?? ""))
        case .conflict where isWrite:
            return request.type.map { .fail(.stale($0, request.name)) }
        case .expiredList where request.verb == .list: return .fail(.continueTokenExpired)
        case .expiredWatch where request.verb == .watch: return .fail(.tooOld(requested: 1, oldest: 2))
        case .invalid where isReport:
            return .fail(StatusError(code: 422, reason: "Invalid", message: "refused by a fault"))
        case .tooManyRequests: return .fail(.tooManyRequests)
        case .retryAfter: return .fail(.tooManyRequests, headers: ["Retry-After": "1"])
        case .internalError:
            return .fail(StatusError(code: 500, reason: "InternalError", message: "Internal error occurred: fault"))
        case .serviceUnavailable:
            return .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "etcdserver: no leader"))
        case .silentWatches where request.verb == .watch: return .silence
        case .shutdown: return Self.shutdown(request)
        case .noResponses: return .hold
        case .lateResponses where isWrite && request.resource != "leases": return .holdResponse
        case .lostResponses where isWrite && request.resource != "leases",
            .lostLeaseResponses where isWrite && request.resource == "leases":
            return .loseResponse
        case .expiredPageToken where request.verb == .list && request.query["continue"] != nil:
            return .fail(.continueTokenExpired)
        default: return nil
        }
    }

    /// Source: `withRetryAfter` in k8s.io/apiserver, pkg/server/filters/with_retry_after.go, and `http.Error` in Go's
    /// net/http: no Status object, and health and metrics are served.
    private static func shutdown(_ request: APIRequest) -> Interception? {
        let exempt = ["/readyz", "/livez", "/healthz", "/metrics"]
        guard !exempt.contains(where: request.path.hasPrefix) else { return nil }
        return .respond(
            status: 429,
            headers: [
                "Connection": "close", "Retry-After": "5", "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
            ],
            body: Array("The apiserver is shutting down, please try again later.\n".utf8)
        )
    }
}
