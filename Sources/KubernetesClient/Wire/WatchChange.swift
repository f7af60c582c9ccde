// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// An event of a watch.
package enum WatchChange<O: ListedObject>: Sendable {
    /// An object was created, began to match the selectors, or is an initial event of a streaming list.
    case added(O)
    /// An object was updated.
    case modified(O)
    /// An object was deleted, or no longer matches the selectors. This is its last state.
    case deleted(O)
    /// All changes up to this version were sent. `endsInitialEvents`: the streaming list is complete.
    case bookmark(resourceVersion: String, endsInitialEvents: Bool)

    /// The version from which a watch continues after this event.
    package var resourceVersion: String {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object): object.resourceVersion
        case .bookmark(let resourceVersion, _): resourceVersion
        }
    }
}

/// A decoded frame of a watch.
package enum WatchFrame<O: ListedObject> {
    case change(WatchChange<O>)
    /// A change of an object that cannot be decoded.
    case undecodable(UndecodableObject)
    /// The watch failed after its response began with 200.
    case error(Status)

    /// - Parameter bytes: a `WatchEvent`.
    package init(_ bytes: Span<UInt8>) throws(WireError) {
        var type = ""
        var object = 0..<0
        do throws(WireFormatError) {
            var reader = WireReader()
            while let field = try reader.next(in: bytes) {
                switch field.number {
                case 1: try field.read(&type, in: bytes)
                case 2: if let message = field.message { object = try Self.raw(in: bytes, extension: message) }
                default: break
                }
            }
        } catch {
            throw WireError(message: "\(bytes.count) bytes are not a WatchEvent: \(error)")
        }
        try self.init(type: type, object: bytes.extracting(object))
    }

    private init(type: String, object: Span<UInt8>) throws(WireError) {
        let envelope = try Envelope(object)
        switch type {
        case "ADDED", "MODIFIED", "DELETED":
            try envelope.check(kind: O.resource.kind, of: O.resource, in: object)
            let content = object.extracting(envelope.content)
            do throws(WireError) {
                let read = try O(listed: content)
                self = .change(type == "ADDED" ? .added(read) : type == "MODIFIED" ? .modified(read) : .deleted(read))
            } catch {
                self = .undecodable(UndecodableObject(O.resource, content, error))
            }
        case "BOOKMARK":
            try envelope.check(kind: O.resource.kind, of: O.resource, in: object)
            let bookmark = try PartialObjectMetadata(
                decoding: object.extracting(envelope.content)
            )
            self = .change(
                .bookmark(
                    resourceVersion: bookmark.metadata.resourceVersion,
                    endsInitialEvents: bookmark.metadata.annotations["k8s.io/initial-events-end"] == "true"
                )
            )
        case "ERROR":
            guard let status = envelope.status(in: object) else {
                let found = envelope.description(in: object)
                throw WireError(message: "an ERROR event contains \(found) instead of a Status")
            }
            self = .error(status)
        default: throw WireError(message: "unknown event type \"\(type)\"")
        }
    }

    /// The range of the object in a RawExtension.
    private static func raw(
        in bytes: Span<UInt8>,
        extension: Range<Int>
    ) throws(WireFormatError) -> Range<Int> {
        let inner = bytes.extracting(`extension`)
        var raw = 0..<0
        var reader = WireReader()
        while let field = try reader.next(in: inner) {
            if field.number == 1 { raw = field.message ?? raw }
        }
        return raw.lowerBound + `extension`.lowerBound..<raw.upperBound + `extension`.lowerBound
    }
}
