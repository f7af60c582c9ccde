// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import ProtobufWire
import SwiftProtobuf

/// The input: a byte for the resource, one for list or watch, the lengths of the pieces, the body.
///
/// However a watch is split, its events are the same; a decoded object that is encoded and decoded again is the same;
/// the lean readers and the generated messages agree; objects of the cluster alone never cause a report on a volume's
/// health. Whatever the bytes of one object are, the objects around it are decoded. A Lease that is written back keeps
/// the fields of other writers.
enum WatchFrames {
    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        switch input.number(below: 6) {
        case 0: try run(PersistentVolume.self, read: WatchedVolume.self, &input) { $0.isWhole(of: $1, from: $2) }
        case 1:
            try run(PersistentVolumeClaim.self, read: WatchedClaim.self, &input) { claim, part, _ in
                claim.isWhole(of: part)
            }
        case 2: try run(Event.self, &input)
        case 3: try run(Node.self, &input)
        case 4: try run(Pod.self, &input)
        default:
            var again = input
            try run(Lease.self, &input)
            let isList = again.byte() & 1 == 1
            let body = again.pieces().flatMap(\.self)
            for bytes in isList ? itemBytes(body) : objectBytes(body) { try requireSingleReads(bytes) }
        }
    }

    /// The objects that are read one by one. A Lease is written back: all that leader election does not set is kept.
    private static func requireSingleReads(_ bytes: [UInt8]) throws(InvariantViolation) {
        if let secret = try? Secret(serializedBytes: bytes) {
            let data = (try? Secret(reading: bytes.span))?.data
            try require(
                data?.filter { !$0.key.isEmpty } == secret.data.filter { !$0.key.asName.isEmpty },
                "the data of a Secret differs: \(secret)"
            )
        }
        guard let stored = try? StoredLease(reading: bytes.span) else {
            return try require((try? Lease(reading: bytes.span)) == nil, "a Lease that can be read cannot be written")
        }
        let encoded = (try? stored.encoded()) ?? []
        try require(fields(3, encoded) == fields(3, bytes), "a field of a Lease is lost")
        for (message, field) in [(1, 11), (1, 12), (1, 13), (1, 17), (2, 6), (2, 7)] {
            let before = fields(field, fields(message, bytes).flatMap(\.self))
            let after = fields(field, fields(message, encoded).flatMap(\.self))
            try require(before == after, "field \(field) in field \(message) of a Lease is lost")
        }
    }

    private static func run<O: KubernetesObject & Equatable, Read: ListedObject & Equatable>(
        _: O.Type,
        read _: Read.Type,
        _ input: inout FuzzInput,
        isRead: (O, Read, [UInt8]) -> Bool
    ) throws(InvariantViolation) {
        var again = input
        try run(O.self, &input)
        let isList = again.byte() & 1 == 1
        let body = again.pieces().flatMap(\.self)
        try requireNeighbours(Read.self, of: body)
        // One by one, because each of the two may skip an object that the other decodes.
        for bytes in isList ? itemBytes(body) : objectBytes(body) {
            guard let object = try? O(reading: bytes.span) else { continue }
            guard let part = try? Read(reading: bytes.span) else {
                throw InvariantViolation(message: "the lean reader fails for a valid object: \(object)")
            }
            try require(isRead(object, part, bytes), "the lean reader's object differs: \(object), \(part)")
        }
        let parts = isList ? listed(Read.self, body) : read(Read.self, [body]).changes.filter { $0.object != nil }
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
        try requireNeighbours(O.self, of: body)
        var core = WatchedCluster()
        if isList {
            for change in listed(O.self, body) {
                if let object = change.object { try requireRoundTrip(object) }
                core.apply(change)
            }
        } else {
            let watch = read(O.self, [body])
            try require(watch.changes == changes(O.self, body), "frames are lost or invented")
            try require(read(O.self, pieces) == watch, "a watch in pieces has other events")
            try require(read(O.self, body.map { [$0] }) == watch, "a watch in single bytes has other events")
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
        do {
            let encoded = try Envelope.encode(object)
            decoded = try O(serializedBytes: fields(2, Array(encoded.dropFirst(4))).flatMap(\.self))
        } catch {
            throw InvariantViolation(message: "a decoded object cannot be encoded and decoded: \(error)")
        }
        try require(decoded == object, "an object changes when it is encoded and decoded: \(object)")
    }

    /// A list and a watch of three objects, of which the middle one has these bytes.
    static func requireNeighbours<O: ListedObject>(_: O.Type, of bytes: [UInt8]) throws(InvariantViolation) {
        func version(_ number: UInt8) -> [UInt8] { [0x0A, 3, 0x32, 1, number] }
        let objects = [version(0x31), bytes, version(0x33)]
        let items = items(
            O.self,
            envelope(O.resource, kind: "\(O.resource.kind)List", objects.flatMap { field(2, $0) })
        )
        try require(
            items.first?.resourceVersion == "1" && items.last?.resourceVersion == "3",
            "an object of a list hides others"
        )
        var decoder = WatchFrameDecoder()
        var versions: [String] = []
        for object in objects {
            let event = field(1, Array("ADDED".utf8)) + field(2, field(1, envelope(O.resource, object)))
            decoder.append([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: event.count >> $0) } + event)
        }
        do throws(WireError) {
            while let frame = try decoder.next({ bytes throws(WireError) in try WatchFrame<O>(bytes) }) {
                switch frame {
                case .change(let change): versions.append(change.resourceVersion)
                case .undecodable(let object): versions.append(object.resourceVersion)
                case .error: versions.append("error")
                }
            }
        } catch {
            throw InvariantViolation(message: "an object fails a watch: \(error.message)")
        }
        try require(
            versions.count == 3 && versions.first == "1" && versions.last == "3",
            "an object of a watch hides others: \(versions)"
        )
    }

    private static func envelope(_ resource: Resource, kind: String? = nil, _ content: [UInt8]) -> [UInt8] {
        let typeMeta = field(1, Array(resource.apiVersion.utf8)) + field(2, Array((kind ?? resource.kind).utf8))
        return Envelope.prefix + field(1, typeMeta) + field(2, content)
    }

    private static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        WireField.header(number: number, length: content.count) + content
    }

    /// The objects of a page that can be decoded; empty when the page is malformed.
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
        try require(
            error.message.utf8.starts(with: "\(info): \(status.code): ".utf8),
            "an error does not name its request: \(error)"
        )
        try require(
            (Duration.seconds(1)...Duration.seconds(86_400)).contains(error.retryAfter ?? .seconds(1)),
            "the pause is not bounded: \(error.retryAfter, default: "none")"
        )
    }
}

// MARK: Decoding a watch

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
                    case .undecodable: break
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
    /// The changes up to the first malformed frame, split by other code than the client's.
    private static func changes<O: KubernetesObject & Equatable>(_: O.Type, _ body: [UInt8]) -> [Change<O>] {
        var changes: [Change<O>] = []
        var rest = FuzzInput(body)
        while rest.count >= 4 {
            let length = Int(rest.byte()) << 24 | Int(rest.byte()) << 16 | Int(rest.byte()) << 8 | Int(rest.byte())
            guard length <= min(rest.count, WatchFrameDecoder.defaultLimit),
                let frame = try? WatchFrame<O>(rest.bytes(length).span)
            else { break }
            switch frame {
            case .change(let change): changes.append(Change(change))
            case .undecodable: continue
            case .error: return changes
            }
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

// MARK: Objects as bytes

extension WatchFrames {
    /// The objects of a page, as far as it is well-formed.
    private static func itemBytes(_ body: [UInt8]) -> [[UInt8]] {
        guard body.starts(with: Envelope.prefix), let list = fields(2, Array(body.dropFirst(4))).last else { return [] }
        return fields(2, list)
    }

    /// The objects of a watch, as far as it is well-formed.
    private static func objectBytes(_ body: [UInt8]) -> [[UInt8]] {
        var objects: [[UInt8]] = []
        var rest = FuzzInput(body)
        while rest.count >= 4 {
            let length = Int(rest.byte()) << 24 | Int(rest.byte()) << 16 | Int(rest.byte()) << 8 | Int(rest.byte())
            let event = rest.bytes(length)
            if let raw = fields(2, event).last.flatMap({ fields(1, $0).last }), raw.starts(with: Envelope.prefix),
                let object = fields(2, Array(raw.dropFirst(4))).last
            {
                objects.append(object)
            }
        }
        return objects
    }

    /// The contents of the fields of this number, up to the first malformed field.
    fileprivate static func fields(_ number: Int, _ bytes: [UInt8]) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        var reader = WireReader()
        while let field = try? reader.next(in: bytes.span) {
            if field.number == number, let content = field.message { contents.append(Array(bytes[content])) }
        }
        return contents
    }
}

// MARK: The lean readers' objects, derived from the generated messages

extension PersistentVolume {
    /// - Parameter bytes: of the volume.
    fileprivate func isWhole(of volume: WatchedVolume, from bytes: [UInt8]) -> Bool {
        let csi = spec.persistentVolumeSource.csi
        let placement = Self.placement(bytes)
        return volume.resourceVersion == metadata.resourceVersion.asName && volume.driver == csi.driver.asName
            && VolumeSecretsKind.allCases.allSatisfy { kind in
                volume.monitored(secrets: kind)
                    == MonitoredVolume(
                        name: metadata.name.asName,
                        handle: csi.volumeHandle,
                        claim: spec.hasClaimRef
                            ? ClaimKey(
                                namespace: spec.claimRef.namespace.asName,
                                name: spec.claimRef.name.asName
                            ) : nil,
                        claimUID: spec.claimRef.uid.asName,
                        isBound: status.phase == "Bound",
                        secret: csi.secret(kind),
                        placement: placement
                    )
            }
    }

    /// The generated message has neither the StorageClass nor the affinity.
    private static func placement(_ bytes: [UInt8]) -> VolumePlacement {
        let spec = WatchFrames.fields(2, bytes).flatMap(\.self)
        let storageClass = WatchFrames.fields(6, spec).last.map {
            $0.count > 253 ? "" : String(decoding: $0, as: UTF8.self)
        }
        let affinity = WatchFrames.fields(9, spec).flatMap(\.self)
        let selector = affinity.isEmpty ? nil : try? NodeSelector.required(nodeAffinity: affinity.span)
        return VolumePlacement(storageClass: storageClass ?? "", segments: selector?.segments ?? [])
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
        let name = SecretName(namespace: reference.namespace.asName, name: reference.name.asName)
        return name.namespace.isEmpty || name.name.isEmpty ? nil : name
    }
}

extension PersistentVolumeClaim {
    fileprivate func isWhole(of claim: WatchedClaim) -> Bool {
        let key = ClaimKey(namespace: metadata.namespace.asName, name: metadata.name.asName)
        return claim.claim
            == Claim(key: key, uid: metadata.uid.asName, resourceVersion: metadata.resourceVersion.asName)
            && claim.volumeName == spec.volumeName.asName
            && claim.healthStatus == status.healthStatus.conditions
    }
}

extension String {
    /// As the lean readers treat names: one that is too long becomes empty.
    var asName: String { utf8.count > 253 ? "" : self }
}
