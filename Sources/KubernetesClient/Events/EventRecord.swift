// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
package import KubernetesAPI

/// An event to record on an object.
package struct EventRecord: Sendable, Hashable {
    package enum EventType: String, Sendable, Hashable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// The Event's own name. Recording the same name again increments the Event's count instead of creating another
    /// Event.
    package var name: String
    /// The Event is created in the object's namespace; for a cluster-scoped object in `default`.
    package var involvedObject: ObjectReference
    package var type: EventType
    /// Short, in CamelCase.
    package var reason: String
    /// Truncated to ``messageLimit`` bytes.
    package var message: String
    /// The reporting component: From in the output of `kubectl describe`.
    package var component: String
    /// The reporting instance; at most 128 bytes.
    package var instance: String
    /// The node of the component, `source.host`; empty where the event does not depend on one.
    package var host: String
    /// When the event occurred, in whole seconds.
    package var time: Time
    /// Identifies this occurrence of the event; at most 63 bytes, and not empty. An Event with this id contains the
    /// occurrence already: an earlier attempt succeeded although its response was lost, or libcurl sent the request
    /// twice.
    package var attemptID: String
    /// Further annotations of the Event, which every occurrence sets.
    package var annotations: [String: String]

    package init(
        name: String,
        involvedObject: ObjectReference,
        type: EventType,
        reason: String,
        message: String,
        component: String,
        instance: String,
        host: String = "",
        time: Time,
        attemptID: String,
        annotations: [String: String] = [:]
    ) {
        self.name = name
        self.involvedObject = involvedObject
        self.type = type
        self.reason = reason
        self.message = message
        self.component = component
        self.instance = instance
        self.host = host
        self.time = time
        self.attemptID = attemptID
        self.annotations = annotations
    }
}

extension EventRecord {
    /// In bytes. The server rejects longer messages: k8s.io/kubernetes, `pkg/apis/core/validation/events.go`.
    package static let messageLimit = 1024

    var namespace: String {
        involvedObject.namespace.isEmpty ? "default" : involvedObject.namespace
    }

    var boundedMessage: String {
        Self.bounded(message, to: Self.messageLimit)
    }

    /// The Event for the first occurrence.
    ///
    /// - Parameter attemptAnnotation: the annotation that holds ``attemptID``.
    func event(attemptAnnotation: String) -> Event {
        var event = Event()
        event.metadata.name = name
        event.metadata.namespace = namespace
        event.metadata.annotations = annotations
        event.metadata.annotations[attemptAnnotation] = attemptID
        event.involvedObject = involvedObject
        event.type = type.rawValue
        event.reason = reason
        event.message = boundedMessage
        event.source.component = component
        event.source.host = host
        event.reportingComponent = component
        event.reportingInstance = instance
        event.firstTimestamp.seconds = time.seconds
        event.lastTimestamp.seconds = time.seconds
        event.count = 1
        return event
    }

    /// The patch that adds this occurrence to an existing Event.
    ///
    /// - Parameters:
    ///   - count: the count of the existing Event.
    ///   - resourceVersion: the version that is patched; nil: any.
    func patch(incrementing count: Int, resourceVersion: String?, attemptAnnotation: String) -> MergePatch {
        let others = annotations.sorted { $0.key < $1.key }.map { ($0.key, MergePatch.Value.string($0.value)) }
        let all = MergePatch.Value.object(MergePatch(others + [(attemptAnnotation, .string(attemptID))]))
        let version = resourceVersion.map { [("resourceVersion", MergePatch.Value.string($0))] } ?? []
        return [
            "metadata": .object(MergePatch(version + [("annotations", all)])),
            // An int32.
            "count": .integer(min(Int64(count) + 1, Int64(Int32.max))),
            "lastTimestamp": .string(Self.timestamp(time.seconds)),
            "message": .string(boundedMessage),
        ]
    }

    /// `metav1.Time` in JSON: RFC 3339, UTC, which has years of four digits. A time before the year 1 becomes its first
    /// second, one after the year 9999 its last.
    package static func timestamp(_ seconds: Int64) -> String {
        let seconds = min(max(seconds, -62_135_596_800), 253_402_300_799)
        return Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    /// The longest prefix of whole Unicode scalars that takes at most `limit` bytes of UTF-8.
    /// Not HealthCore's `bounded`: this module does not depend on the product.
    package static func bounded(_ text: String, to limit: Int = messageLimit) -> String {
        guard text.utf8.count > limit else { return text }
        // The end of a range of scalars is rounded down to the boundary of one, so that the prefix is valid UTF-8.
        return String(text.unicodeScalars[..<text.utf8.index(text.startIndex, offsetBy: limit)])
    }
}
