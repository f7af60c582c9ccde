// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a watcher does next: it lists, then watches from the list's version, goes on from the last version that it has
/// seen when a watch ends, and lists again when the server no longer knows that version.
///
/// A list is a streaming one, and its stream goes on as the watch. Once the server has refused such a list, or one that had
/// begun has failed, lists are paged. After two
/// of these whose page tokens have expired, one list is without pages, as client-go's pager does it after the first:
/// [tools/pager/pager.go](https://github.com/kubernetes/client-go/blob/master/tools/pager/pager.go), `FullListIfExpired`.
///
/// Source: [Efficient detection of
/// changes](https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes); delays as
/// client-go's reflector has them.
struct WatchStateMachine: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        /// Watch, with the objects that there are as the first events.
        case watchList
        /// List in pages.
        case list
        /// List without a limit.
        case wholeList
        /// Ask for the latest version only: the server may have been put back to an earlier one while it was away.
        case checkVersion
        case watch(resourceVersion: String)
    }

    /// How a list or a watch ended before it should.
    enum End: Sendable, Hashable {
        /// A watch ended in good order.
        case closed(after: Duration)
        case failed(KubernetesError.Code, retryAfter: Duration?)
    }

    /// A watch that ends sooner, without a word, counts as a failure: otherwise a server that closes every watch at
    /// once would be asked without a pause.
    static let shortWatch = Duration.seconds(1)
    /// From so many lists in pages that have expired on, one is without pages: it costs the server more than pages do.
    static let toleratedExpiries = 2

    /// nil: a list is needed.
    private var resourceVersion: String?
    private var streamsLists = true
    private var backOff = BackOff()
    /// Something failed since the version was known to be one of the server's.
    private var isVersionInDoubt = false
    /// Whether the watch has reported anything.
    private var isFruitful = false
    /// Whether the server sends bookmarks to a watch of these objects, as far as is known.
    private(set) var expectsBookmarks = false
    /// Whether a page of the list that is under way has come.
    private var hasPage = false
    /// Whether the server has begun to answer a streaming list.
    private var hasStreamBegun = false
    /// How many lists have expired after a page, since one was complete or was tried without pages.
    private var expiredLists = 0

    /// How a server says that it has no streaming lists: at once, or, with an etcd that is too old, within the stream.
    private static let refusals: Set<KubernetesError.Code> = [.badRequest, .invalid, .serverError]

    /// Whether a failure now means no more than that the server has no streaming lists.
    func isRefusal(_ code: KubernetesError.Code) -> Bool {
        resourceVersion == nil && streamsLists && Self.refusals.contains(code)
    }

    /// Whether this end, before a list has begun, is one that any request would have met.
    private func saysNothingOfLists(_ end: End) -> Bool {
        guard case .failed(let code, _) = end else { return false }
        return [.transport, .unauthorized, .forbidden, .tooManyRequests].contains(code)
    }

    /// What to do now.
    var step: Step {
        guard let resourceVersion else {
            if streamsLists { return .watchList }
            return expiredLists < Self.toleratedExpiries ? .list : .wholeList
        }
        return isVersionInDoubt ? .checkVersion : .watch(resourceVersion: resourceVersion)
    }

    /// The server has begun to answer a streaming list.
    mutating func beganStreamingList() {
        hasStreamBegun = true
    }

    /// A page of a list has come.
    mutating func receivedPage() {
        hasPage = true
    }

    /// A list is complete.
    mutating func listed(resourceVersion: String) {
        self.resourceVersion = resourceVersion
        isVersionInDoubt = false
        hasPage = false
        expiredLists = 0
    }

    /// The server's latest version is this.
    ///
    /// - Returns: false where it is behind what was seen: a watch from there would be silent until the server has caught
    ///   up, and miss what happens until then. A list is next.
    mutating func checked(latest: String) -> Bool {
        isVersionInDoubt = false
        guard let seen = resourceVersion.flatMap(UInt64.init), let latest = UInt64(latest), latest < seen else {
            return true
        }
        resourceVersion = nil
        return false
    }

    /// The watch reported of a change, or sent a bookmark.
    ///
    /// - Returns: false where the version went back, as it does when the server was restored from a backup: what was
    ///   seen before may never have happened. Then the watch must be closed, as one that has expired.
    mutating func changed(resourceVersion new: String) -> Bool {
        if let old = resourceVersion.flatMap(UInt64.init), let new = UInt64(new), new < old { return false }
        resourceVersion = new
        isFruitful = true
        backOff.reset()
        return true
    }

    /// A list or a watch is over. Returns how long to wait before the next step.
    ///
    /// - Parameters:
    ///   - hasSeenBookmark: whether the watch had bookmarks, the one at the end of a list apart.
    ///   - jitter: random, from 0 up to 1.
    mutating func ended(_ end: End, hasSeenBookmark: Bool = false, jitter: Double) -> Duration {
        defer { (isFruitful, hasPage, hasStreamBegun) = (false, false, false) }
        if hasSeenBookmark {
            expectsBookmarks = true
        } else if case .failed(.timeout, _) = end {
            // Another server, perhaps, that sends none: its silence must not end the next watch as early.
            expectsBookmarks = false
        }
        if step == .wholeList {
            expiredLists = 0
        } else if hasPage, case .failed(.expired, _) = end {
            expiredLists += 1
        }
        if case .failed(let code, _) = end, isRefusal(code) {
            streamsLists = false
            return .zero
        }
        if resourceVersion == nil, hasStreamBegun || !saysNothingOfLists(end) { streamsLists = false }
        switch end {
        case .closed(let duration) where isFruitful || duration >= Self.shortWatch:
            backOff.reset()
            return .zero
        case .closed:
            return backOff.next(jitter: jitter)
        case .failed(let code, let retryAfter):
            // The first says so; the others are failures that the same version would meet again.
            if [.expired, .badRequest, .invalid, .decoding].contains(code) { resourceVersion = nil }
            // The server is there, and the same as before.
            isVersionInDoubt = ![.tooManyRequests, .forbidden].contains(code)
            return max(backOff.next(jitter: jitter), retryAfter ?? .zero)
        }
    }
}
