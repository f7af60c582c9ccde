// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

extension Watcher {
    /// Does what the state machine says: the only place where a watcher meets the network and the clock.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private struct List {
            var pages: ListPages<O>.AsyncIterator
            /// What is left of the page.
            var objects = [O]().makeIterator()
            /// Of the first page; nil before it.
            var resourceVersion: String?
        }

        private struct Watch {
            var changes: WatchChanges<O>.AsyncIterator
            var start: Duration
        }

        private let watcher: Watcher
        private var machine = WatchStateMachine()
        /// At most one of these two is there; with neither, the machine's next step is to be begun after `delay`.
        private var list: List?
        private var watch: Watch?
        private var delay = Duration.zero
        private var log: WatcherLog

        init(watcher: Watcher) {
            self.watcher = watcher
            log = WatcherLog(logger: watcher.logger, resource: O.resource)
        }

        /// The next event; never nil.
        ///
        /// - Throws: `CancellationError`, or ``KubernetesError`` with `shutdown`.
        public mutating func next() async throws -> WatcherEvent<O>? {
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
            if list != nil { return try await nextOfList() }
            if watch != nil { return try await nextOfWatch() }
            try await beginStep()
            return nil
        }

        private mutating func beginStep() async throws(KubernetesError) {
            let client = watcher.client
            if delay > .zero {
                // Only cancellation ends it early, which the caller sees.
                guard (try? await client.timekeeper.sleep(delay)) != nil else { return }
            }
            switch machine.step {
            case .list:
                let pages = client.list(O.self, watcher.selection, limit: watcher.pageLimit)
                list = List(pages: pages.makeAsyncIterator())
            case .checkVersion:
                delay = .zero
                let latest = try await client.latestResourceVersion(O.self, watcher.selection)
                if !machine.checked(latest: latest) { log.versionWentBack(to: latest) }
            case .watch(let resourceVersion):
                let changes = try await client.watch(
                    O.self,
                    watcher.selection,
                    resourceVersion: resourceVersion,
                    timeout: .seconds(300 + Int(watcher.random() * 300))
                )
                log.recovered()
                watch = Watch(changes: changes.makeAsyncIterator(), start: client.timekeeper.now())
            }
        }

        private mutating func nextOfList() async throws(KubernetesError) -> WatcherEvent<O>? {
            if let object = list?.objects.next() { return .listed(object) }
            guard let page = try await list?.pages.next() else {
                machine.listed(resourceVersion: list?.resourceVersion ?? "")
                (list, delay) = (nil, .zero)
                return .synced
            }
            list?.objects = page.items.makeIterator()
            guard list?.resourceVersion == nil else { return nil }
            list?.resourceVersion = page.resourceVersion
            return .restarted
        }

        private mutating func nextOfWatch() async throws(KubernetesError) -> WatcherEvent<O>? {
            guard let change = try await watch?.changes.next() else {
                end(.closed(after: watcher.client.timekeeper.now() - (watch?.start ?? .zero)))
                return nil
            }
            guard machine.changed(resourceVersion: change.resourceVersion) else {
                log.versionWentBack(to: change.resourceVersion)
                throw KubernetesError(code: .expired, message: "watch \(O.resource.plural): the version went back")
            }
            switch change {
            case .added(let object), .modified(let object): return .applied(object)
            case .deleted(let object): return .deleted(object)
            case .bookmark: return nil
            }
        }

        private mutating func handle(_ error: KubernetesError) {
            log.failed(error)
            watcher.observer(error)
            end(.failed(error.code, retryAfter: error.retryAfter))
        }

        private mutating func end(_ end: WatchStateMachine.End) {
            (list, watch) = (nil, nil)
            delay = machine.ended(end, jitter: watcher.random())
        }
    }
}
