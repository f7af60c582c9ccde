// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// Reports events to the API server (core/v1), each under a name that the caller derives from what it is about: whoever
/// reports the same again, after a crash or as another replica, raises the count of the Event that is there.
///
/// RBAC: `get`, `create` and `patch` on `events`, in the namespaces of the objects; `list` does instead of `get`, at a
/// higher price for the server.
///
/// - Note: The API server forgets an Event an hour after it was last written, unless it is configured otherwise.
package struct EventRecorder: Sendable {
    /// How often a change by somebody else, in the moment of ours, is met by trying again.
    static let attempts = 5

    private let client: KubernetesClient

    /// - Parameter client: where Events are written. Its rate limit holds here too.
    package init(client: KubernetesClient) {
        self.client = client
    }

    /// Makes the Event, or raises the count of the one that has its name: then count, time and message are all that
    /// changes. One that an earlier attempt of the same attemptID has written, whose answer was lost, stays as it is
    /// (``EventRecord/attemptID``).
    ///
    /// - Parameter isKnown: the Event was recorded before, and is read first; it is made only where it is gone. Otherwise it
    ///   is made first, and read only where it is there.
    /// - Returns: how often the Event was recorded by now; 1 where it was created.
    /// - Throws: ``KubernetesError``. Two codes are final, as there is nobody left to report: `notFound`, the namespace is
    ///   gone, and `namespaceTerminating`, it is being deleted. `conflict` says that others kept changing the Event.
    ///   After any other failure it is not known whether the record was reported; attemptID it again is safe, and with
    ///   the same ``EventRecord/attemptID`` the count is right all the same.
    package func record(_ record: EventRecord, isKnown: Bool = false) async throws(KubernetesError) -> Int {
        var isKnown = isKnown
        for _ in 1..<Self.attempts {
            do {
                return try await attempt(record, &isKnown)
            } catch {
                guard error.code == .conflict else { throw error }
            }
        }
        return try await attempt(record, &isKnown)
    }

    /// - Throws: `conflict` also where the Event was made, or deleted, after it was found to be missing, or to exist.
    private func attempt(_ record: EventRecord, _ isKnown: inout Bool) async throws(KubernetesError) -> Int {
        if !isKnown {
            do {
                return try await client.create(record.event, reading: RecordedEvent.self).count
            } catch {
                guard error.code == .alreadyExists else { throw error }
            }
        }
        do {
            let existing = try await existing(record)
            if record.isReported(by: existing) { return existing.count }
            let raised = try await client.patch(
                RecordedEvent.self,
                name: record.name,
                namespace: record.namespace,
                record.patch(raising: existing)
            )
            return raised.count
        } catch {
            guard error.code == .notFound else { throw error }
            isKnown = false
            throw KubernetesError(code: .conflict, message: error.message, cause: error)
        }
    }

    /// Roles made for other recorders, which never read a single Event, have `list` at best.
    ///
    /// - Throws: `notFound` where it is gone.
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
            // The rule that is wanted is the narrower one.
            throw error.code == .forbidden ? forbidden : error
        }
        throw KubernetesError(code: .notFound, message: "event \(record.namespace)/\(record.name) is gone")
    }
}
