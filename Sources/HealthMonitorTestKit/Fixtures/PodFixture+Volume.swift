// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension PodFixture {
    /// A volume in `spec.volumes`.
    package struct Volume: Sendable, Hashable {
        package enum Source: Sendable, Hashable {
            /// A PersistentVolumeClaim in the pod's namespace.
            case claim(String)
            /// A generic ephemeral volume, whose claim is named POD-VOLUME.
            case genericEphemeral
            /// An inline volume of this driver.
            case inline(driver: String)
        }

        /// How the container uses the volume.
        package enum Use: Sendable, Hashable {
            case mounted
            /// As a block device.
            case device
            /// Not at all: the kubelet mounts no such volume.
            case unused
        }

        package var name: String
        package var source: Source
        package var use: Use

        package init(name: String, source: Source, use: Use = .mounted) {
            self.name = name
            self.source = source
            self.use = use
        }

        var value: JSONValue {
            var volume: JSONValue = ["name": .string(name)]
            switch source {
            case .claim(let claim): volume["persistentVolumeClaim"] = ["claimName": .string(claim)]
            case .inline(let driver): volume["csi"] = ["driver": .string(driver)]
            case .genericEphemeral:
                let spec: JSONValue = [
                    "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
                ]
                volume["ephemeral"] = ["volumeClaimTemplate": ["spec": spec]]
            }
            return volume
        }

        var mount: JSONValue { ["name": .string(name), "mountPath": .string("/\(name)")] }

        var device: JSONValue { ["name": .string(name), "devicePath": .string("/dev/\(name)")] }
    }
}
