// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// An Event, reduced to what it says, of which object, and when.
package struct ListedEvent: ListedObject, Hashable {
    package static let resource = Event.resource

    package var name = ObjectName()
    package var resourceVersion = ""
    /// `involvedObject.kind`
    package var kind = ""
    /// `involvedObject.name`
    package var object = ""
    /// `involvedObject.uid`; may be empty.
    package var objectUID = ""
    package var reason = ""
    package var message = ""
    /// `source.component`, or else `reportingComponent`.
    package var component = ""
    /// `source.host`: the node of a component that runs on each node.
    package var host = ""
    package var first: Int64 = 0
    package var last: Int64 = 0
    package var count = 1

    package init() {}

    package init(reading bytes: Span<UInt8>) throws {
        var (reportingComponent, eventTime) = ("", Int64(0))
        try forEachField(of: bytes) { field, bytes throws(WireFormatError) in
            switch field.number {
            case 1:
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    switch field.number {
                    case 1: name.name = field.text(in: bytes)
                    case 3: name.namespace = field.text(in: bytes)
                    case 6: resourceVersion = field.text(in: bytes)
                    default: break
                    }
                }
            case 2:
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    switch field.number {
                    case 1: kind = field.text(in: bytes)
                    case 3: object = field.text(in: bytes)
                    case 4: objectUID = field.text(in: bytes)
                    default: break
                    }
                }
            case 3: reason = field.text(in: bytes)
            case 4: message = field.text(upTo: .max, in: bytes)
            case 5:
                try field.forEachField(in: bytes) { field, bytes throws(WireFormatError) in
                    if field.number == 1 { component = field.text(in: bytes) }
                    if field.number == 2 { host = field.text(in: bytes) }
                }
            case 6: first = try field.seconds(in: bytes)
            case 7: last = try field.seconds(in: bytes)
            // An int32, which protobuf sign-extends to 64 bits.
            case 8: count = field.integer.map { Int(Int32(truncatingIfNeeded: $0)) } ?? count
            case 10: eventTime = try field.seconds(in: bytes)
            case 14: reportingComponent = field.text(in: bytes)
            default: break
            }
        }
        if component.isEmpty { component = reportingComponent }
        // Events of events.k8s.io/v1 have a time, and no timestamps.
        if first == 0 { first = eventTime }
        last = max(first, last)
    }

    /// Whether the event was recorded or refreshed after another one. Resource versions decide where both are numbers:
    /// times have whole seconds, and clocks differ.
    func isLater(than other: ListedEvent) -> Bool {
        if let left = UInt64(resourceVersion), let right = UInt64(other.resourceVersion) { return left > right }
        return last > other.last
    }
}
