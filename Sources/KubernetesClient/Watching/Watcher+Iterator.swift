// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

extension Watcher {
    /// Runs the steps of ``WatchStateMachine``.
    package struct AsyncIterator: AsyncIteratorProtocol {
        private struct List {
            var pages: ListPages<O>.AsyncIterator
            /// The current page, with the objects not returned yet.
            var page: ListPage<O>?
            /// nil before the first page.
            var resourceVersion: String?
        }

        private struct Watch {
            var changes: WatchChanges<O>.AsyncIterator
            var start: Duration
            /// Whether the initial events are not complete.
            var isListing = false
        }

        /// The maximum number of objects in `listed`.
        private static var batch: Int { 100 }

        private let watcher: Watcher
        private var machine = WatchStateMachine()
        /// At most one of these three is set. If none is, the machine's next step begins after `delay`.
        private var list: List?
        private var wholeList: ListStream<O>?
        private var watch: Watch?
        private var delay = Duration.zero
        /// Whether something has failed since a watch was last open.
        private var hasFailed = false
        /// Returned next.
        private var pending: WatcherEvent<O>?
        private var log: WatcherLog

        init(watcher: Watcher) {
            self.watcher = watcher
            log = WatcherLog(logger: watcher.logger, resource: O.resource)
        }

        /// The next event; never nil.
        ///
        /// - Throws: `CancellationError`, or ``KubernetesError`` with `shutdown`.
        package mutating func next() async throws -> WatcherEvent<O>? {
            while true {
                try Task.checkCancellation()
                do throws(KubernetesError) {
                    if let event = try await proceed() { return event }
                } catch {
                    try Task.checkCancellation()
                    if error.code == .shutdown { throw error }
                    handle(error)
                }
            }
        }

        private mutating func proceed() async throws(KubernetesError) -> WatcherEvent<O>? {
            if let pending {
                self.pending = nil
                return pending
            }
            if list != nil { return try await nextOfList() }
            if wholeList != nil { return try await nextOfWholeList() }
            if watch != nil { return try await nextOfWatch() }
            return try await beginStep()
        }

        /// The lifetime of the next watch.
        private var lifetime: WatchLifetime { machine.isServerOverloaded ? .long : watcher.lifetime }

        private mutating func beginStep() async throws(KubernetesError) -> WatcherEvent<O>? {
            let client = watcher.client
            if delay > .zero {
                // Only cancellation ends the sleep early; `next` checks it.
                guard (try? await client.clock.sleep(for: delay)) != nil else { return nil }
            }
            switch machine.step {
            case .watchList:
                let changes = try await client.watchList(
                    O.self,
                    watcher.selection,
                    timeout: WatchLifetime.long.timeout(random: watcher.random()),
                    expectsBookmarks: machine.expectsBookmarks
                )
                machine.beganStreamingList()
                watch = Watch(
                    changes: changes.makeAsyncIterator(),
                    start: client.now(),
                    isListing: true
                )
                return .restarted
            case .list:
                let pages = client.list(O.self, watcher.selection, limit: watcher.pageLimit)
                list = List(pages: pages.makeAsyncIterator())
            case .wholeList:
                log.listingWithoutPages()
                wholeList = try await client.listStream(O.self, watcher.selection)
                return .restarted
            case .checkVersion:
                delay = .zero
                let latest = try await latestResourceVersion()
                if !machine.checked(latest: latest) { log.versionWentBackwards(to: latest) }
            case .watch(let resourceVersion):
                let changes = try await client.watch(
                    O.self,
                    watcher.selection,
                    resourceVersion: resourceVersion,
                    timeout: lifetime.timeout(random: watcher.random()),
                    grace: lifetime.grace,
                    expectsBookmarks: machine.expectsBookmarks
                )
                log.recovered()
                machine.openedWatch()
                // Where nothing has failed, nothing has recovered either.
                if hasFailed { watcher.opened() } else { watcher.received() }
                hasFailed = false
                watch = Watch(changes: changes.makeAsyncIterator(), start: client.now())
            }
            return nil
        }

        /// The server's latest version, from a list of one object.
        ///
        /// Without the selectors: before 1.34, kube-apiserver reads a list with a limit from etcd, batch by batch until
        /// an object is selected (`GetList` in k8s.io/apiserver, pkg/storage/etcd3/store.go), and after an outage the
        /// agents of all nodes check at once. The version is that of the storage, whatever is selected. RBAC does
        /// not look at selectors either. The authorizer of nodes does, and so may others: `AuthorizeNodeWithSelectors`
        /// in k8s.io/kubernetes, plugin/pkg/auth/authorizer/node.
        private func latestResourceVersion() async throws(KubernetesError) -> String {
            let (client, selection) = (watcher.client, watcher.selection)
            let all = Selection(namespace: selection.namespace)
            do {
                return try await client.latestResourceVersion(O.self, all)
            } catch {
                guard error.code == .forbidden, selection != all else { throw error }
                return try await client.latestResourceVersion(O.self, selection)
            }
        }

        private mutating func nextOfList() async throws(KubernetesError) -> WatcherEvent<O>? {
            var objects: [O] = []
            while objects.count < Self.batch, let object = try list?.page?.next() { objects.append(object) }
            if !objects.isEmpty { return .listed(objects) }
            guard let page = try await list?.pages.next() else {
                machine.listed(resourceVersion: list?.resourceVersion ?? "")
                (list, delay) = (nil, .zero)
                return .synced
            }
            list?.page = page
            machine.receivedPage()
            guard list?.resourceVersion == nil else { return nil }
            list?.resourceVersion = page.resourceVersion
            return .restarted
        }

        /// Returns the objects that have arrived already together.
        private mutating func nextOfWholeList() async throws(KubernetesError) -> WatcherEvent<O>? {
            guard let first = try await wholeList?.next() else {
                machine.listed(resourceVersion: wholeList?.resourceVersion ?? "")
                (wholeList, delay) = (nil, .zero)
                return .synced
            }
            var objects = [first]
            while objects.count < Self.batch, let object = try wholeList?.nextReceived() { objects.append(object) }
            return .listed(objects)
        }

        private mutating func nextOfWatch() async throws(KubernetesError) -> WatcherEvent<O>? {
            guard let change = try await watch?.changes.next() else {
                end(.closed(after: watcher.client.now() - (watch?.start ?? .zero)))
                return nil
            }
            watcher.received()
            if watch?.isListing == true { return try nextOfStreamingList(change) }
            guard machine.changed(resourceVersion: change.resourceVersion) else {
                log.versionWentBackwards(to: change.resourceVersion)
                throw KubernetesError(
                    code: .expired,
                    message: "watch \(O.resource.plural): the resourceVersion went backwards"
                )
            }
            switch change {
            case .added(let object), .modified(let object): return .applied(object)
            case .deleted(let object): return .deleted(object)
            case .bookmark: return nil
            }
        }

        /// Returns the objects that have arrived already together.
        private mutating func nextOfStreamingList(
            _ first: WatchChange<O>
        ) throws(KubernetesError) -> WatcherEvent<O>? {
            var objects: [O] = []
            var event: WatcherEvent<O>?
            var next: WatchChange<O>? = first
            while let change = next {
                next = nil
                switch change {
                case .added(let object), .modified(let object):
                    objects.append(object)
                    if objects.count < Self.batch { next = try watch?.changes.nextReceived() }
                case .deleted(let object):
                    event = .deleted(object)
                case .bookmark(let resourceVersion, endsInitialEvents: true):
                    machine.listed(resourceVersion: resourceVersion)
                    watch?.isListing = false
                    // It was opened for minutes, because its timeout would also end an incomplete list.
                    if lifetime != .long { watch = nil }
                    (delay, hasFailed) = (.zero, false)
                    log.recovered()
                    event = .synced
                case .bookmark: break
                }
            }
            if objects.isEmpty { return event }
            pending = event
            return .listed(objects)
        }

        private mutating func handle(_ error: KubernetesError) {
            if machine.isRejectedStreamingList(error.code) {
                log.rejectedStreamingList(error)
            } else {
                log.failed(error)
            }
            hasFailed = true
            watcher.observer(error)
            end(.failed(error.code, retryAfter: error.retryAfter, hasStatus: error.status != nil))
        }

        private mutating func end(_ end: WatchStateMachine.End) {
            let hasSeenBookmark = watch?.changes.hasSeenBookmark ?? false
            (list, wholeList, watch) = (nil, nil, nil)
            delay = machine.ended(end, hasSeenBookmark: hasSeenBookmark, jitter: watcher.random())
        }
    }
}
