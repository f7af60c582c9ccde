// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Serves one watch: the changes since a revision and those to come, until the client is gone.
struct WatchStream: Sendable {
    let type: ResourceType
    /// nil for all namespaces.
    let namespace: String?
    let selector: Selector
    let representation: Representation
    let allowsBookmarks: Bool
    let timeout: Duration?
    let cluster: Cluster
    let bookmarkInterval: Duration
    let clock: any Clock<Duration>

    /// - Parameters:
    ///   - objects: reported as ADDED before any change.
    ///   - isList: whether a bookmark marks their end.
    ///   - revision: changes after it are reported.
    func run(
        _ objects: [StoredObject],
        isList: Bool,
        after revision: Int64,
        handle: WatchHandle,
        write: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { timers in
            defer { timers.cancelAll() }
            if let timeout {
                timers.addTask {
                    try await clock.sleep(for: timeout)
                    handle.end()
                }
            }
            if allowsBookmarks {
                // Source: `nextBookmarkTime` in k8s.io/apiserver, pkg/storage/cacher/cache_watcher.go.
                if let timeout, timeout > .seconds(2) {
                    timers.addTask {
                        try await clock.sleep(for: timeout - .seconds(2))
                        handle.sendBookmark()
                    }
                }
                timers.addTask {
                    while true {
                        try await clock.sleep(for: bookmarkInterval)
                        handle.sendBookmark()
                    }
                }
            }
            // In blocks, as the real server does: it flushes when nothing more is queued.
            var frames: [UInt8] = []
            for object in objects {
                frames += try bytes(of: Event(name: "ADDED", object: object))
                guard frames.count >= 1 << 16 else { continue }
                try await write(frames)
                frames = []
            }
            if isList, allowsBookmarks {
                let end = try bookmark(revision, annotations: ["k8s.io/initial-events-end": "true"])
                frames += try bytes(of: end)
            }
            if !frames.isEmpty { try await write(frames) }
            try await serve(after: revision, handle: handle, write: write)
        }
    }

    private func serve(
        after start: Int64,
        handle: WatchHandle,
        write: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        var revision = start
        handle.reportChanges()
        for await command in handle.commands {
            handle.beginReporting()
            let changes: [Change]
            do {
                changes = try advance(&revision)
            } catch {
                return try await write(try representation.watchError(error))
            }
            for change in changes {
                if let event = try event(of: change) { try await write(try bytes(of: event)) }
            }

            switch command {
            case .reportChanges: break
            case .bookmark:
                if allowsBookmarks, cluster.sendsBookmarks { try await write(try bytes(of: bookmark(revision))) }
            case .send(let bytes): try await write(bytes)
            case .fail(let error): return try await write(try representation.watchError(error))
            case .cut(let count):
                try await write(Array(try bytes(of: bookmark(revision)).prefix(count)))
                throw ConnectionCut()
            case .end: return
            }
        }
    }

    // MARK: Events

    private struct Event {
        let name: String
        let object: StoredObject
    }

    private func bookmark(_ revision: Int64, annotations: JSONValue? = nil) throws(SchemaError) -> Event {
        var object: JSONValue = ["metadata": ["resourceVersion": .string(String(revision))]]
        object["metadata", "annotations"] = annotations
        return Event(name: "BOOKMARK", object: try StoredObject(object, of: type))
    }

    private func bytes(of event: Event) throws(SchemaError) -> [UInt8] {
        try representation.watchEvent(event.name, type, event.object, now: cluster.now())
    }

    /// The changes after a revision, which is advanced to the latest one.
    private func advance(_ revision: inout Int64) throws(StatusError) -> [Change] {
        let start = revision
        let (changes, latest) = try cluster.access { registry, _ throws(StatusError) in
            (try registry.store.changes(type, after: start), registry.store.revision)
        }
        revision = max(start, latest)
        return changes
    }

    /// The event of a change under the watch's namespace and selector; nil when neither state is selected.
    private func event(of change: Change) throws(SchemaError) -> Event? {
        guard namespace == nil || namespace == change.key.namespace else { return nil }
        let old = change.old.flatMap { isSelected($0) ? $0 : nil }
        let new = change.new.flatMap { isSelected($0) ? $0 : nil }
        switch (old, new) {
        case (_, .some(let new)):
            return Event(name: old == nil ? "ADDED" : "MODIFIED", object: new)
        case (.some(let old), nil):
            var value = old.value(of: type)
            value["metadata", "resourceVersion"] = .string(String(change.revision))
            return Event(name: "DELETED", object: try StoredObject(value, of: type))
        case (nil, nil):
            return nil
        }
    }

    private func isSelected(_ object: StoredObject) -> Bool {
        selector.isEmpty || selector.matches(object.value(of: type))
    }
}
