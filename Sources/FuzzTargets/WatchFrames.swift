// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitor
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf
import VolumeHealth

/// The input: a byte for the resource, one for list or watch, the lengths of the pieces, the body.
///
/// However a watch is cut, it says the same; what was decoded and is encoded again, says the same; what is read of many
/// objects without decoding them whole, says the same; nothing that the cluster shows makes anybody be told that
/// something is wrong.
enum WatchFrames {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        switch input.number(below: 6) {
        case 0: try run(PersistentVolume.self, read: WatchedVolume.self, &input) { $0.isWhole(of: $1) }
        case 1: try run(PersistentVolumeClaim.self, read: WatchedClaim.self, &input) { $0.isWhole(of: $1) }
        case 2: try run(Event.self, &input)
        case 3: try run(Node.self, &input)
        case 4: try run(Pod.self, &input)
        default: try run(Lease.self, &input)
        }
    }

    private static func run<O: KubernetesObject & Equatable, Read: ListedObject & Equatable>(
        _: O.Type,
        read _: Read.Type,
        _ input: inout FuzzInput,
        isRead: (O, Read) -> Bool
    ) throws(InvariantViolation) {
        var again = input
        try run(O.self, &input)
        let isList = again.byte() & 1 == 1
        let body = again.pieces().flatMap(\.self)
        let whole = isList ? items(O.self, body) : read(O.self, [body]).changes.compactMap(\.object)
        let parts = isList ? listed(Read.self, body) : read(Read.self, [body]).changes.filter { $0.object != nil }
        // Of what is not read nobody sees that it is no message.
        try require(parts.count >= whole.count, "an object can be decoded and not be read")
        for case (let object, let part?) in zip(whole, parts.lazy.map(\.object)) {
            try require(isRead(object, part), "an object is read as something else: \(object), \(part)")
        }
        var core = WatchedCluster()
        for part in parts { core.apply(part) }
        try core.requireSilence()
    }

    private static func listed<O: ListedObject & Equatable>(_: O.Type, _ body: [UInt8]) -> [Change<O>] {
        items(O.self, body).map { Change(kind: .added, object: $0, resourceVersion: $0.resourceVersion) }
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
            for change in listed(O.self, body) {
                if let object = change.object { try requireRoundTrip(object) }
                core.apply(change)
            }
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
            let encoded = try Envelope.encode(object)
            decoded = try Envelope(encoded.span).wholeObject(O.self, in: encoded.span)
        } catch {
            throw InvariantViolation(message: "a decoded object cannot be encoded and decoded: \(error.message)")
        }
        try require(decoded == object, "an object that is encoded and decoded is another one: \(object)")
    }

    /// The objects of a page, up to the first that is none; none when the bytes are no page.
    private static func items<O: ListedObject>(_: O.Type, _ body: [UInt8]) -> [O] {
        guard var page = try? ListPage<O>(body, request: RequestInfo(verb: .list, resource: O.resource)) else {
            return []
        }
        var items: [O] = []
        while let item = try? page.next() { items.append(item) }
        return items
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
    private static func read<O: ListedObject & Equatable>(_: O.Type, _ pieces: [[UInt8]]) -> Watch<O> {
        var watch = Watch<O>()
        var decoder = WatchFrameDecoder()
        do throws(WireError) {
            for piece in pieces {
                decoder.append(piece)
                while let frame = try decoder.next({ bytes throws(WireError) in try WatchFrame<O>(bytes) }) {
                    switch frame {
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
                case .change(let change)? = try? WatchFrame<O>(rest.bytes(length).span)
            else { break }
            changes.append(Change(change))
        }
        return changes
    }
}

extension WatchFrames.Change where O: ListedObject {
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

// MARK: What is read of an object, from the whole of it

extension PersistentVolume {
    fileprivate func isWhole(of volume: WatchedVolume) -> Bool {
        let csi = spec.persistentVolumeSource.csi
        return volume.resourceVersion == metadata.resourceVersion && volume.driver == csi.driver
            && VolumeSecretsKind.allCases.allSatisfy { kind in
                volume.monitored(secrets: kind)
                    == MonitoredVolume(
                        name: metadata.name,
                        handle: csi.volumeHandle,
                        claim: spec.hasClaimRef
                            ? ClaimKey(namespace: spec.claimRef.namespace, name: spec.claimRef.name) : nil,
                        claimUID: spec.claimRef.uid,
                        isBound: status.phase == "Bound",
                        secret: csi.secret(kind)
                    )
            }
    }
}

extension CSIPersistentVolumeSource {
    fileprivate func secret(_ kind: VolumeSecretsKind) -> SecretName? {
        let reference: SecretReference
        switch kind {
        case .none: return nil
        case .controllerPublish: reference = controllerPublishSecretRef
        case .controllerExpand: reference = controllerExpandSecretRef
        case .nodeStage: reference = nodeStageSecretRef
        }
        guard !reference.namespace.isEmpty, !reference.name.isEmpty else { return nil }
        return SecretName(namespace: reference.namespace, name: reference.name)
    }
}

extension PersistentVolumeClaim {
    fileprivate func isWhole(of claim: WatchedClaim) -> Bool {
        claim.claim == Claim(metadata) && claim.volumeName == spec.volumeName
            && claim.healthStatus == status.healthStatus.conditions
    }
}
