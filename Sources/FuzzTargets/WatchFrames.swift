// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HealthMonitor
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf
import VolumeHealth

/// The input: a byte for the resource, one for list or watch, the lengths of the pieces, the body.
///
/// However a watch is cut, it says the same; what was decoded and is encoded again, says the same; nothing that the
/// cluster shows makes anybody be told that something is wrong.
enum WatchFrames {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        switch input.number(below: 6) {
        case 0: try run(PersistentVolume.self, &input)
        case 1: try run(PersistentVolumeClaim.self, &input)
        case 2: try run(Event.self, &input)
        case 3: try run(Node.self, &input)
        case 4: try run(Pod.self, &input)
        default: try run(Lease.self, &input)
        }
    }

    private static func run<O: KubernetesObject & Equatable>(
        _: O.Type,
        _ input: inout FuzzInput
    ) throws(InvariantViolation) {
        let isList = input.byte() & 1 == 1
        let pieces = input.pieces()
        let body = pieces.flatMap(\.self)
        var core = WatchedCluster()
        if isList {
            for object in try page(O.self, body) { core.apply(object, isDeleted: false) }
        } else {
            let watch = read(O.self, [body])
            try require(watch.changes == changes(O.self, body), "frames are lost or made up")
            try require(read(O.self, pieces) == watch, "a watch that is cut says something else")
            try require(read(O.self, body.map { [$0] }) == watch, "a watch that is cut everywhere says something else")
            for change in watch.changes {
                if let object = change.object { try requireRoundTrip(object) }
                core.apply(change)
            }
            try check(end: watch.end, resource: O.resource)
        }
        try core.requireSilence()
    }

    private static func requireRoundTrip<O: KubernetesObject & Equatable>(_ object: O) throws(InvariantViolation) {
        let decoded: O
        do throws(WireError) {
            let encoded = Data(try Envelope.encode(object))
            decoded = try Envelope(encoded).object(O.self, keepingUnknownFields: true)
        } catch {
            throw InvariantViolation(message: "a decoded object cannot be encoded and decoded: \(error.message)")
        }
        try require(decoded == object, "an object that is encoded and decoded is another one: \(object)")
    }

    /// The objects of a page; none when the bytes are no page.
    private static func page<O: KubernetesObject & Equatable>(
        _: O.Type,
        _ body: [UInt8]
    ) throws(InvariantViolation) -> [O] {
        guard let page = try? ListPage<O>(Data(body)) else { return [] }
        // A slice of a larger buffer, as a transport may hand it over: its indices do not begin at 0.
        let slice = (Data([0, 0, 0]) + Data(body)).dropFirst(3)
        guard let again = try? ListPage<O>(slice) else {
            throw InvariantViolation(message: "a page is none when its bytes lie elsewhere")
        }
        try require(
            page.items == again.items && page.resourceVersion == again.resourceVersion
                && page.continueToken == again.continueToken,
            "a page says something else when its bytes lie elsewhere"
        )
        for object in page.items { try requireRoundTrip(object) }
        return page.items
    }

    private static func check(end: End, resource: Resource) throws(InvariantViolation) {
        guard case .status(let status) = end else { return }
        let info = RequestInfo(verb: .watch, resource: resource)
        let error = KubernetesError(watchStatus: status, request: info)
        try require(error.message.utf8.starts(with: "\(info): \(status.code): ".utf8), "an error names its request")
        try require(
            (Duration.seconds(1)...Duration.seconds(86_400)).contains(error.retryAfter ?? .seconds(1)),
            "the pause is bounded, it is \(error.retryAfter, default: "none")"
        )
    }
}

// MARK: Reading a watch

extension WatchFrames {
    struct Change<O: Equatable>: Equatable {
        enum Kind {
            case added
            case modified
            case deleted
            case bookmark
        }

        var kind: Kind
        var object: O?
        var resourceVersion: String
    }

    enum End: Equatable {
        case complete
        case withinFrame
        case status(Status)
        case failure(WireError)
    }

    struct Watch<O: Equatable>: Equatable {
        var changes: [Change<O>] = []
        var end = End.complete
    }

    /// As the client's iterator does it.
    private static func read<O: KubernetesObject & Equatable>(_: O.Type, _ pieces: [[UInt8]]) -> Watch<O> {
        var watch = Watch<O>()
        var decoder = WatchFrameDecoder()
        do throws(WireError) {
            for piece in pieces {
                decoder.append(piece)
                while let frame = try decoder.next() {
                    switch try WatchFrame<O>(frame) {
                    case .change(let change): watch.changes.append(Change(change))
                    case .error(let status):
                        watch.end = .status(status)
                        return watch
                    }
                }
            }
            watch.end = decoder.isWithinFrame ? .withinFrame : .complete
        } catch {
            watch.end = .failure(error)
        }
        return watch
    }
}

extension WatchFrames {
    /// The changes up to the first frame that is none, framed in another way.
    private static func changes<O: KubernetesObject & Equatable>(_: O.Type, _ body: [UInt8]) -> [Change<O>] {
        var changes: [Change<O>] = []
        var rest = FuzzInput(body)
        while rest.count >= 4 {
            let length = Int(rest.byte()) << 24 | Int(rest.byte()) << 16 | Int(rest.byte()) << 8 | Int(rest.byte())
            guard length <= min(rest.count, WatchFrameDecoder.defaultLimit),
                case .change(let change)? = try? WatchFrame<O>(Data(rest.bytes(length)))
            else { break }
            changes.append(Change(change))
        }
        return changes
    }
}

extension WatchFrames.Change where O: KubernetesObject {
    init(_ change: WatchChange<O>) {
        let version = change.resourceVersion
        switch change {
        case .added(let object): self.init(kind: .added, object: object, resourceVersion: version)
        case .modified(let object): self.init(kind: .modified, object: object, resourceVersion: version)
        case .deleted(let object): self.init(kind: .deleted, object: object, resourceVersion: version)
        case .bookmark: self.init(kind: .bookmark, object: nil, resourceVersion: version)
        }
    }
}
