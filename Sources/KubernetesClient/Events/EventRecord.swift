// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
package import KubernetesAPI

/// An event to be reported about an object.
package struct EventRecord: Sendable, Hashable {
    /// Normal or Warning.
    package enum EventType: String, Sendable, Hashable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// The Event's own name. The same name again raises the Event's count instead of making another one.
    package var name: String
    /// What it is about, as completely as it is known. Its namespace is where the Event is kept; an object of the
    /// cluster's has its events in `default`.
    package var involvedObject: ObjectReference
    /// Whether it needs attention.
    package var type: EventType
    /// Short, in CamelCase, for programs.
    package var reason: String
    /// For people. What is beyond 1,024 bytes is cut off, at a character.
    package var message: String
    /// What reports, as `kubectl describe` shows it under From.
    package var component: String
    /// Which instance of it, at most 128 bytes.
    package var instance: String
    /// When it is reported, to the second.
    package var time: Time
    /// Names this attemptID, unlike every other one of the same event; at most 63 bytes. An Event that has it reports this
    /// already: an attempt came through, only its answer did not, or libcurl sent it twice.
    package var attemptID: String

    /// Describes an event.
    package init(
        name: String,
        involvedObject: ObjectReference,
        type: EventType,
        reason: String,
        message: String,
        component: String,
        instance: String,
        time: Time,
        attemptID: String
    ) {
        self.name = name
        self.involvedObject = involvedObject
        self.type = type
        self.reason = reason
        self.message = message
        self.component = component
        self.instance = instance
        self.time = time
        self.attemptID = attemptID
    }
}

extension EventRecord {
    /// The server refuses longer messages: k8s.io/kubernetes, `pkg/apis/core/validation/events.go`.
    package static let messageLimit = 1024

    var namespace: String {
        involvedObject.namespace.isEmpty ? "default" : involvedObject.namespace
    }

    var boundedMessage: String {
        Self.bounded(message, to: Self.messageLimit)
    }

    /// The Event that reports this for the first time.
    var event: Event {
        var event = Event()
        event.metadata.name = name
        event.metadata.namespace = namespace
        event.metadata.annotations[Self.attemptAnnotation] = attemptID
        event.involvedObject = involvedObject
        event.type = type.rawValue
        event.reason = reason
        event.message = boundedMessage
        event.source.component = component
        event.reportingComponent = component
        event.reportingInstance = instance
        event.firstTimestamp.seconds = time.seconds
        event.lastTimestamp.seconds = time.seconds
        event.count = 1
        return event
    }

    /// Where an Event keeps the last ``attemptID`` of it.
    static let attemptAnnotation = "csi-health-monitor/attempt-id"

    /// Whether an Event that is there reports this already.
    func isReported(by existing: RecordedEvent) -> Bool {
        existing.attemptID == attemptID
    }

    /// What changes in an Event that is there when this is reported once more.
    func patch(raising existing: RecordedEvent) -> MergePatch {
        [
            "metadata": [
                "resourceVersion": .string(existing.resourceVersion),
                "annotations": .object([Self.attemptAnnotation: .string(attemptID)]),
            ],
            "count": .integer(Int64(existing.count) + 1),
            "lastTimestamp": .string(Self.timestamp(time.seconds)),
            "message": .string(boundedMessage),
        ]
    }

    /// `metav1.Time` in JSON: RFC 3339, in UTC.
    package static func timestamp(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    /// As many characters of the text as take at most `limit` bytes of UTF-8.
    package static func bounded(_ text: String, to limit: Int = messageLimit) -> String {
        guard text.utf8.count > limit else { return text }
        let end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
        // Rounded down to a scalar: whole code points are what UTF-8 asks for.
        let boundary = text.unicodeScalars.index(before: text.unicodeScalars.index(after: end))
        return String(text.unicodeScalars[..<boundary])
    }
}
