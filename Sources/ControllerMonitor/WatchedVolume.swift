// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore
package import KubernetesAPI
package import ProtobufWire

/// A PersistentVolume, reduced to what the monitor needs.
package struct WatchedVolume: WatchedObject, Hashable {
    package static let resource = PersistentVolume.resource

    /// `metadata.name`
    package private(set) var name = ""
    /// `metadata.resourceVersion`
    package private(set) var resourceVersion = ""
    /// `spec.csi.driver`; empty when the volume is not a CSI volume.
    package private(set) var driver = ""
    /// `spec.csi.volumeHandle`
    package private(set) var handle = ""
    /// `spec.storageClassName`
    private var storageClass = ""
    /// `spec.nodeAffinity`, not decoded, because only a volume of the monitored driver needs it.
    private var nodeAffinity: [UInt8] = []
    private var hasClaimRef = false
    private var claim = ClaimKey(namespace: "", name: "")
    private var claimUID = ""
    private var phase = ""
    /// By the field number of the reference in `CSIPersistentVolumeSource`.
    private var secrets: [Int: SecretName] = [:]

    package init() {}

    package mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readName(&name, in: bytes)
            case 6: field.readName(&resourceVersion, in: bytes)
            default: break
            }
        }
    }

    package mutating func read(spec bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else { continue }
            switch field.number {
            case 2: try read(source: bytes.extracting(message))
            case 4: try read(claimRef: bytes.extracting(message))
            case 6: field.readName(&storageClass, in: bytes)
            case 9:
                let affinity = bytes.extracting(message)
                for index in affinity.indices { nodeAffinity.append(affinity[index]) }
            default: break
            }
        }
    }

    private mutating func read(source bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            if field.number == 22, let message = field.message { try read(csi: bytes.extracting(message)) }
        }
    }

    private mutating func read(csi bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readName(&driver, in: bytes)
            case 2:
                // Not repaired and not truncated: the result could be the handle of another volume. With a handle that
                // is not UTF-8, which a CSI call cannot carry, or too long, the volume is skipped, counted and logged
                // as one that cannot be decoded.
                try field.read(&handle, upTo: VolumeBinding.maximumHandleBytes, in: bytes)
            case 6, 7, 9:
                guard let message = field.message else { continue }
                try secrets[field.number, default: SecretName(namespace: "", name: "")]
                    .read(reference: bytes.extracting(message))
            default: break
            }
        }
    }

    private mutating func read(claimRef bytes: Span<UInt8>) throws(WireFormatError) {
        hasClaimRef = true
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 2: field.readName(&claim.namespace, in: bytes)
            case 3: field.readName(&claim.name, in: bytes)
            case 4: field.readName(&claimUID, in: bytes)
            default: break
            }
        }
    }

    package mutating func read(status bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            if field.number == 1 { field.readName(&phase, in: bytes) }
        }
    }
}

extension SecretName {
    fileprivate mutating func read(reference bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readName(&name, in: bytes)
            case 2: field.readName(&namespace, in: bytes)
            default: break
            }
        }
    }
}

extension WatchedVolume {
    /// The volume for the core.
    ///
    /// - Parameter node: the node on which this process runs, if it is known.
    package func monitored(secrets kind: VolumeSecretsKind, onNode node: String? = nil) -> MonitoredVolume {
        let selector = nodeSelector
        return MonitoredVolume(
            name: name,
            handle: handle,
            claim: hasClaimRef ? claim : nil,
            claimUID: claimUID,
            isBound: phase == "Bound",
            secret: secret(kind),
            isOfOtherNode: node.map { selector?.namesOtherNode(than: $0) ?? false } ?? false,
            placement: VolumePlacement(storageClass: storageClass, segments: selector?.segments ?? [])
        )
    }

    /// Which nodes `spec.nodeAffinity` admits; nil when it is absent, which admits all nodes, or cannot be decoded.
    package var nodeSelector: NodeSelector? {
        nodeAffinity.isEmpty ? nil : try? NodeSelector.required(nodeAffinity: nodeAffinity.span)
    }

    /// The Secret that the volume refers to; nil when it refers to none.
    private func secret(_ kind: VolumeSecretsKind) -> SecretName? {
        let secret =
            switch kind {
            case .none: nil as SecretName?
            case .controllerPublish: secrets[6]
            case .controllerExpand: secrets[9]
            case .nodeStage: secrets[7]
            }
        return secret.flatMap { $0.namespace.isEmpty || $0.name.isEmpty ? nil : $0 }
    }
}
