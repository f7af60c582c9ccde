// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Namespace, empty for cluster-scoped objects, and name.
struct ObjectKey: Hashable, Comparable, Sendable {
    let namespace: String
    let name: String

    static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// A change of one object, as a watch reports it.
struct Change: Sendable {
    let revision: Int64
    let key: ObjectKey
    /// Before the change; nil when it created the object.
    let old: StoredObject?
    /// After the change; nil when it deleted the object.
    let new: StoredObject?
}

/// The counterpart of etcd: objects by key, one revision counter for all of them, and the changes since the last
/// compaction.
///
/// A value without a clock or a lock. The cost of a write does not depend on the number of objects.
struct ObjectStore: Sendable {
    private struct Collection: Sendable {
        var objects: [ObjectKey: StoredObject] = [:]
        /// nil after an object was added or removed, until the next list.
        var sortedKeys: [ObjectKey]?
        var changes: [Change] = []
        /// Changes up to this revision are forgotten.
        var compactedRevision: Int64 = 0
    }

    /// The minimum number of latest changes that are kept for each kind; at most twice as many are.
    static let keptChanges = 100_000

    /// The revision of the latest change.
    private(set) var revision: Int64 = 0
    private var collections: [String: Collection] = [:]

    // MARK: Objects

    func object(_ type: ResourceType, _ key: ObjectKey) -> JSONValue? {
        collections[type.qualifiedPlural]?.objects[key]?.value(of: type)
    }

    /// All objects of a type, or those of one namespace, sorted by key.
    mutating func objects(_ type: ResourceType, namespace: String?) -> [StoredObject] {
        let collection = sorted(type)
        let keys = collection.sortedKeys ?? []
        guard let namespace else { return keys.compactMap { collection.objects[$0] } }
        return keys.lazy.filter { $0.namespace == namespace }.compactMap { collection.objects[$0] }
    }

    /// Stores an object under a new revision, which becomes its resourceVersion.
    ///
    /// - Parameter raw: see ``StoredObject``.
    /// - Throws: `StatusError` 500 when the object does not fit its type.
    mutating func put(
        _ type: ResourceType,
        _ key: ObjectKey,
        _ object: JSONValue,
        appending raw: [UInt8] = []
    ) throws(StatusError) -> JSONValue {
        var versioned = object
        versioned["metadata", "resourceVersion"] = .string(String(revision + 1))
        let stored: StoredObject
        do {
            stored = try StoredObject(versioned, of: type, appending: raw)
        } catch {
            throw StatusError(code: 500, reason: "InternalError", message: "Internal error occurred: \(error)")
        }
        revision += 1
        let old = collections[type.qualifiedPlural, default: Collection()].objects.updateValue(stored, forKey: key)
        record(type, Change(revision: revision, key: key, old: old, new: stored))
        return versioned
    }

    /// Removes an object under a new revision. Does nothing when it does not exist.
    mutating func remove(_ type: ResourceType, _ key: ObjectKey) {
        guard let old = collections[type.qualifiedPlural]?.objects.removeValue(forKey: key) else { return }
        revision += 1
        record(type, Change(revision: revision, key: key, old: old, new: nil))
    }

    private mutating func sorted(_ type: ResourceType) -> Collection {
        var collection = collections[type.qualifiedPlural] ?? Collection()
        if collection.sortedKeys == nil {
            collection.sortedKeys = collection.objects.keys.sorted()
            collections[type.qualifiedPlural] = collection
        }
        return collection
    }

    // MARK: Changes

    /// The changes of a type after a revision, oldest first.
    ///
    /// - Throws: `StatusError` 410 when some of them are compacted.
    func changes(_ type: ResourceType, after start: Int64) throws(StatusError) -> [Change] {
        guard let collection = collections[type.qualifiedPlural] else { return [] }
        guard start >= collection.compactedRevision else {
            throw .tooOld(requested: start, oldest: collection.compactedRevision)
        }
        var low = collection.changes.startIndex
        var high = collection.changes.endIndex
        while low < high {
            let middle = (low + high) / 2
            if collection.changes[middle].revision <= start { low = middle + 1 } else { high = middle }
        }
        return Array(collection.changes[low...])  // a slice would make the next write copy the whole history
    }

    /// Forgets every change so far: a watch from an older revision gets 410.
    mutating func compact() {
        for name in collections.keys {
            collections[name]?.changes = []
            collections[name]?.compactedRevision = revision
        }
    }

    private mutating func record(_ type: ResourceType, _ change: Change) {
        collections[type.qualifiedPlural]?.changes.append(change)
        if change.old == nil || change.new == nil {
            collections[type.qualifiedPlural]?.sortedKeys = nil
        }
        if let count = collections[type.qualifiedPlural]?.changes.count, count >= 2 * Self.keptChanges {
            let forgotten = collections[type.qualifiedPlural]?.changes.prefix(count - Self.keptChanges).last
            collections[type.qualifiedPlural]?.compactedRevision = forgotten?.revision ?? 0
            collections[type.qualifiedPlural]?.changes.removeFirst(count - Self.keptChanges)
        }
    }
}
