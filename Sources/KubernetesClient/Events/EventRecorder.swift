// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// Records events (core/v1) under names that the caller derives from object and reason. Recording the same event again,
/// after a crash or by another replica, increments the count of the existing Event.
///
/// RBAC: `get`, `create` and `patch` on `events`, in the namespaces of the objects. `list` can replace `get`, at a
/// higher cost for the server.
///
/// - Note: By default, the API server deletes an Event an hour after its last write.
package struct EventRecorder: Sendable {
    /// The maximum number of attempts while other clients change the Event concurrently.
    static let attempts = 5

    private let client: KubernetesClient
    private let attemptAnnotation: String

    /// - Parameters:
    ///   - client: its rate limit applies.
    ///   - attemptAnnotation: the annotation of an Event that holds its last ``EventRecord/attemptID``, such as
    ///     `example.com/attempt-id`.
    package init(client: KubernetesClient, attemptAnnotation: String) {
        self.client = client
        self.attemptAnnotation = attemptAnnotation
    }

    /// Creates the Event, or increments the count of the existing Event of this name: then only count, time, message
    /// and annotations change. An Event that an earlier attempt with the same ``EventRecord/attemptID`` has written
    /// stays as it is.
    ///
    /// - Parameters:
    ///   - isKnown: whether the Event was recorded before. Then it is read first, and created only if it no longer
    ///     exists. Otherwise it is created first, and read only if it exists.
    ///   - knownCount: the count of an Event that is known and that no other client writes: it is patched without being
    ///     read, in one request, as by client-go's recorder. Repeating the request raises the count no further. nil: not
    ///     known.
    /// - Returns: the Event's count; 1 if it was created.
    /// - Throws: ``KubernetesError``. Two codes are final: with `notFound` the namespace does not exist, with
    ///   `namespaceTerminating` it is being deleted. `conflict`: other clients kept changing the Event. After any other
    ///   failure the event may have been recorded; retrying with the same ``EventRecord/attemptID`` does not count it
    ///   twice.
    package func record(
        _ record: EventRecord,
        isKnown: Bool = false,
        knownCount: Int? = nil
    ) async throws(KubernetesError) -> Int {
        var isKnown = isKnown
        if isKnown, let knownCount {
            do {
                return try await patch(record, incrementing: knownCount, resourceVersion: nil)
            } catch {
                guard [.notFound, .conflict].contains(error.code) else { throw error }
                isKnown = error.code == .conflict
            }
        }
        for _ in 1..<Self.attempts {
            do {
                return try await attempt(record, &isKnown)
            } catch {
                guard error.code == .conflict else { throw error }
            }
        }
        return try await attempt(record, &isKnown)
    }

    /// - Throws: `conflict` also if the Event was created or deleted concurrently.
    private func attempt(_ record: EventRecord, _ isKnown: inout Bool) async throws(KubernetesError) -> Int {
        if !isKnown {
            do {
                return try await client.create(
                    record.event(attemptAnnotation: attemptAnnotation),
                    reading: RecordedEvent.self
                ).count
            } catch {
                guard error.code == .alreadyExists else { throw error }
            }
        }
        do {
            let existing = try await existing(record)
            if existing.annotations[attemptAnnotation] == record.attemptID { return existing.count }
            return try await patch(
                record,
                incrementing: existing.count,
                resourceVersion: existing.resourceVersion
            )
        } catch {
            guard error.code == .notFound else { throw error }
            isKnown = false
            throw KubernetesError(code: .conflict, message: error.message, cause: error)
        }
    }

    /// - Returns: the raised count.
    private func patch(
        _ record: EventRecord,
        incrementing count: Int,
        resourceVersion: String?
    ) async throws(KubernetesError) -> Int {
        try await client.patch(
            RecordedEvent.self,
            name: record.name,
            namespace: record.namespace,
            record.patch(
                incrementing: count,
                resourceVersion: resourceVersion,
                attemptAnnotation: attemptAnnotation
            )
        ).count
    }

    /// Reads the existing Event. Falls back to `list`, because the Roles of other event recorders, which never read a
    /// single Event, may allow `list` but not `get`.
    ///
    /// - Throws: `notFound` if it no longer exists.
    private func existing(_ record: EventRecord) async throws(KubernetesError) -> RecordedEvent {
        let forbidden: KubernetesError
        do {
            return try await client.get(RecordedEvent.self, name: record.name, namespace: record.namespace)
        } catch {
            guard error.code == .forbidden else { throw error }
            forbidden = error
        }
        let selection = Selection(namespace: record.namespace, fieldSelector: "metadata.name=\(record.name)")
        var pages = client.list(RecordedEvent.self, selection).makeAsyncIterator()
        do {
            if var page = try await pages.next(), let event = try page.next() { return event }
        } catch {
            // Report the missing rule for `get`, which is the narrower one.
            throw error.code == .forbidden ? forbidden : error
        }
        throw KubernetesError(
            code: .notFound,
            message: "get events \(record.namespace)/\(record.name): it no longer exists"
        )
    }
}
