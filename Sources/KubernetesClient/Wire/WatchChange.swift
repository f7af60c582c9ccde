// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import FoundationEssentials
public import KubernetesAPI

/// What a watch tells.
public enum WatchChange<O: KubernetesObject>: Sendable {
    /// An object was made, or began to match the selectors.
    case added(O)
    /// An object was changed.
    case modified(O)
    /// An object was deleted, or ceased to match the selectors. This is its last state.
    case deleted(O)
    /// Nothing changed up to this version.
    case bookmark(resourceVersion: String)

    /// Where a watch goes on that ended after this.
    public var resourceVersion: String {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object): object.metadata.resourceVersion
        case .bookmark(let resourceVersion): resourceVersion
        }
    }
}

/// One frame of a watch.
package enum WatchFrame<O: KubernetesObject> {
    case change(WatchChange<O>)
    /// The watch has failed, though its response began with 200.
    case error(Status)

    package init(_ frame: Data) throws(WireError) {
        let event = try WatchEvent(decoding: frame, keepingUnknownFields: false)
        let envelope = try Envelope(event.object.raw)
        switch event.type {
        case "ADDED": self = .change(.added(try envelope.watched()))
        case "MODIFIED": self = .change(.modified(try envelope.watched()))
        case "DELETED": self = .change(.deleted(try envelope.watched()))
        case "BOOKMARK":
            let bookmark: O = try envelope.watched()
            self = .change(.bookmark(resourceVersion: bookmark.metadata.resourceVersion))
        case "ERROR":
            guard let status = envelope.status() else {
                throw WireError(message: "an ERROR event with a \(envelope.kind) instead of a Status")
            }
            self = .error(status)
        default: throw WireError(message: "an event of the unknown type \"\(event.type)\"")
        }
    }
}

extension Envelope {
    fileprivate func watched<O: KubernetesObject>() throws(WireError) -> O {
        try object(O.self, keepingUnknownFields: false)
    }
}
