// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides what a watcher does next. It lists, then watches from the list's version. When a watch ends, it continues
/// from the last version it has received, and lists again when the server no longer has the changes since that version.
///
/// A list is a streaming list, whose stream continues as the watch. If it fails, the list is paged, and the next one is
/// a streaming list again, as in client-go: `ListAndWatchWithContext`, `fallbackToList` in
/// [tools/cache/reflector.go](https://github.com/kubernetes/client-go/blob/master/tools/cache/reflector.go). Once the
/// server itself has rejected a streaming list as invalid, all later lists are paged; client-go tries again. After two
/// paged lists whose continue tokens have expired, one list is requested without pages, as client-go's pager does after
/// the first:
/// [tools/pager/pager.go](https://github.com/kubernetes/client-go/blob/master/tools/pager/pager.go),
/// `FullListIfExpired`.
///
/// Source: [Efficient detection of
/// changes](https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes); the delays
/// are those of client-go's reflector.
struct WatchStateMachine: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        /// Watch with initial events: a streaming list.
        case watchList
        /// List in pages.
        case list
        /// List in one response, without a limit.
        case wholeList
        /// Request only the latest version: after an outage, the server may have been restored to an earlier one.
        case checkVersion
        case watch(resourceVersion: String)
    }

    /// How a list or a watch ended.
    enum End: Sendable, Hashable {
        /// The server ended a watch.
        case closed(after: Duration)
        /// `hasStatus`: the API server's Status says so, not another server's response in its place.
        case failed(KubernetesError.Code, retryAfter: Duration?, hasStatus: Bool = false)
    }

    /// A watch that ends sooner, without an event, counts as a failure: otherwise a server that closes every watch at
    /// once would get requests without a pause.
    static let shortWatch = Duration.seconds(1)
    /// After this many paged lists have expired, one is requested without pages, which costs the server more.
    static let toleratedExpiries = 2

    /// From where to watch; nil if a list is needed.
    private var resourceVersion: String?
    /// Whether the server may support streaming lists.
    private var streamsLists = true
    /// Whether a streaming list has failed since a list was last complete.
    private var isListPaged = false
    private var backoff = Backoff()
    /// Whether a request has failed since the server was known to have the version.
    private var isVersionUncertain = false
    /// Whether the current watch has delivered an event.
    private var hasEvent = false
    /// Whether earlier watches received bookmarks.
    private(set) var expectsBookmarks = false
    /// Whether the server has refused a request because of its load, and no watch was open since. A watch that is
    /// reopened often would be refused often, and its cache outdated until it is not.
    private(set) var isServerOverloaded = false
    /// Whether a page of the current list has arrived.
    private var hasPage = false
    /// Whether the response to the current streaming list has begun.
    private var hasStreamBegun = false
    /// How many lists have expired after a page since the last complete list, or the last one without pages.
    private var expiredLists = 0

    /// How a server rejects a streaming list that it does not support: `ValidateListOptions` in k8s.io/apimachinery,
    /// pkg/apis/meta/internalversion/validation.
    private static let rejections: Set<KubernetesError.Code> = [.badRequest, .invalid]

    /// Whether a failure now may concern streaming lists alone: a paged one follows at once. With an old etcd the
    /// server rejects a streaming list by an internal error within the stream; a load balancer's 502 has the same code.
    func isRejectedStreamingList(_ code: KubernetesError.Code) -> Bool {
        step == .watchList && (Self.rejections.contains(code) || code == .serverError)
    }

    /// Whether an end before a list has begun would have been the same for any other request.
    private func isUnrelatedToLists(_ end: End) -> Bool {
        guard case .failed(let code, _, _) = end else { return false }
        return [.transport, .unauthorized, .forbidden, .tooManyRequests].contains(code)
    }

    var step: Step {
        guard let resourceVersion else {
            if streamsLists, !isListPaged { return .watchList }
            return expiredLists < Self.toleratedExpiries ? .list : .wholeList
        }
        return isVersionUncertain ? .checkVersion : .watch(resourceVersion: resourceVersion)
    }

    /// The response to a streaming list has begun.
    mutating func beganStreamingList() {
        hasStreamBegun = true
    }

    /// A page of a list has arrived.
    mutating func receivedPage() {
        hasPage = true
    }

    /// A list is complete.
    mutating func listed(resourceVersion: String) {
        self.resourceVersion = resourceVersion
        isVersionUncertain = false
        isListPaged = false
        hasPage = false
        expiredLists = 0
    }

    /// The server's latest version was requested.
    ///
    /// - Returns: false if it is older than the last version received: a watch from that one would be silent until the
    ///   server has caught up, and miss the changes until then. The next step is a list.
    mutating func checked(latest: String) -> Bool {
        isVersionUncertain = false
        guard let seen = resourceVersion.flatMap(UInt64.init), let latest = UInt64(latest), latest < seen else {
            return true
        }
        resourceVersion = nil
        return false
    }

    /// The watch has delivered a change or a bookmark.
    ///
    /// - Returns: false if the version is older than the last one, as when the server was restored from a backup: the
    ///   changes since the backup have never happened. Then the caller must close the watch as expired.
    mutating func changed(resourceVersion new: String) -> Bool {
        if let old = resourceVersion.flatMap(UInt64.init), let new = UInt64(new), new < old { return false }
        resourceVersion = new
        hasEvent = true
        backoff.reset()
        return true
    }

    /// A watch that continues from a version is open.
    mutating func openedWatch() { isServerOverloaded = false }

    /// A list or a watch has ended.
    ///
    /// - Parameters:
    ///   - hasSeenBookmark: whether the watch received bookmarks, other than the one that ends a streaming list.
    ///   - jitter: random, from 0 up to 1.
    /// - Returns: how long to wait before the next step.
    mutating func ended(_ end: End, hasSeenBookmark: Bool = false, jitter: Double) -> Duration {
        defer { (hasEvent, hasPage, hasStreamBegun) = (false, false, false) }
        if hasSeenBookmark {
            expectsBookmarks = true
        } else if case .failed(.timeout, _, _) = end {
            // Perhaps another server, which sends none: its silence must not end the next watch as early.
            expectsBookmarks = false
        }
        if step == .wholeList {
            expiredLists = 0
        } else if hasPage, case .failed(.expired, _, _) = end {
            expiredLists += 1
        }
        if case .failed(let code, _, let hasStatus) = end, isRejectedStreamingList(code) {
            isListPaged = true
            if hasStatus, Self.rejections.contains(code) { streamsLists = false }
            return .zero
        }
        if resourceVersion == nil, hasStreamBegun || !isUnrelatedToLists(end) { isListPaged = true }
        switch end {
        case .closed(let duration):
            isServerOverloaded = false
            guard hasEvent || duration >= Self.shortWatch else { return backoff.next(jitter: jitter) }
            backoff.reset()
            return .zero
        case .failed(let code, let retryAfter, _):
            if [.tooManyRequests, .serverError].contains(code) { isServerOverloaded = true }
            // With the same version, these failures would repeat.
            if [.expired, .badRequest, .invalid, .decoding].contains(code) { resourceVersion = nil }
            // With these codes, the server is available and still the same. A check that they reject is repeated: a
            // server that has just started forbids for a moment what it allows.
            if ![.tooManyRequests, .forbidden].contains(code) { isVersionUncertain = true }
            return max(backoff.next(jitter: jitter), retryAfter ?? .zero)
        }
    }
}
