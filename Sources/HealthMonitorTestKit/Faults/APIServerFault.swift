// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A fault of the API server or of the connection to it. It lasts until it is ended; an instantaneous one happens when
/// it begins.
package enum APIServerFault: String, CaseIterable, Sendable {
    /// The port is closed, and open connections are cut.
    case connectionRefused = "connection-refused"
    /// Connections are closed in the middle of the TLS handshake.
    case tlsHandshakeFailure = "tls-handshake-failure"
    /// The server's certificate has expired; at the end it is replaced.
    case certificateExpired = "certificate-expired"
    /// The token is no longer valid (401); at the end the file has a new one.
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
    /// Watches end with an ERROR event of 410, and the history is compacted.
    case expiredInWatch = "expired-in-watch"
    /// 422 for every write of an event or a claim.
    case invalid
    /// 429 for everything, without a Retry-After.
    case tooManyRequests = "too-many-requests"
    /// 429 for everything, with a Retry-After of one second.
    case retryAfter = "retry-after"
    /// 500 for everything.
    case internalError = "internal-error"
    /// 503 for everything.
    case serviceUnavailable = "service-unavailable"
    /// Every open connection is cut.
    case connectionReset = "connection-reset"
    /// Every open watch is cut inside a frame, one byte later each time that the fault begins.
    case frameCut = "frame-cut"
    /// Every watch expires, and the following watches send nothing for ever, as through a proxy that keeps connections
    /// and forwards nothing. Its end applies to new watches only; the client must give up the silent ones.
    case silentWatches = "silent-watches"
    /// No watch gets a bookmark.
    case noBookmarks = "no-bookmarks"
    /// At the end all objects and the resource version are restored to what they were at the beginning.
    case restoredFromBackup = "restored-from-backup"
    /// No request is served, and none gets a response.
    case noResponses = "no-responses"
    /// Writes except of Leases are served, and their responses never come: the leader stays leader and writes again.
    case lateResponses = "late-responses"
    /// Writes except of Leases are served, and the connection is cut before their responses.
    case lostResponses = "lost-responses"
    /// Writes of Leases are served, and the connection is cut before their responses.
    case lostLeaseResponses = "lost-lease-responses"
    /// The token of a list's second page has expired.
    case expiredPageToken = "expired-page-token"
    /// `status.healthStatus` is dropped from writes: the feature gate is off.
    case statusFieldDropped = "status-field-dropped"
    /// The server shuts down with `--shutdown-send-retry-after`: watches end, and everything is refused with 429,
    /// Retry-After and `Connection: close`. At the end connections are refused for a second, then another process
    /// listens.
    case shutdown
}

extension APIServerFault {
    /// What happens to a request; nil lets the server serve it.
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

    /// Health and metrics are served, and the response has no Status object.
    ///
    /// Source: `withRetryAfter` in k8s.io/apiserver, pkg/server/filters/with_retry_after.go, and `http.Error` in Go's
    /// net/http.
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
