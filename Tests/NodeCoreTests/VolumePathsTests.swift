// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Digests
import Testing

@testable import NodeCore

/// The worked example is that of csi-driver-host-path: its hashes were computed by sha256sum.
struct VolumePathsTests {
    static let podUID = "0ed3b369-d5a6-4b99-b489-1bb651710c60"
    static let volume = "pvc-63fd7293-c543-4c83-8f65-01aacb098ab3"

    static func paths(isBlock: Bool = false, root: String = "/var/lib/kubelet") -> VolumePaths {
        VolumePaths(
            kubeletRoot: root,
            podUID: podUID,
            volumeName: volume,
            driver: "hostpath.csi.k8s.io",
            volumeHandle: "47f67155-a1b9-11eb-8b74-0242ac110003",
            isBlock: isBlock
        )
    }

    @Test func `a file system volume has the paths that the kubelet uses`() {
        let paths = Self.paths()
        #expect(paths.publish == "/var/lib/kubelet/pods/\(Self.podUID)/volumes/kubernetes.io~csi/\(Self.volume)/mount")
        let digest = "246134e380e165c0df4f6f38c67694fdd9d65bf0dc68ce26962319f772e43dde"
        #expect(
            paths.staging == "/var/lib/kubelet/plugins/kubernetes.io/csi/hostpath.csi.k8s.io/\(digest)/globalmount"
        )
    }

    @Test func `fault 12, a block volume has the paths that the kubelet uses`() {
        let paths = Self.paths(isBlock: true)
        let devices = "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices"
        #expect(paths.publish == "\(devices)/publish/\(Self.volume)/\(Self.podUID)")
        #expect(paths.staging == "\(devices)/staging/\(Self.volume)")
    }

    @Test func `fault 12, an inline volume has an id of its own and no staging path`() {
        let paths = VolumePaths(kubeletRoot: "/var/lib/kubelet", podUID: Self.podUID, inlineVolume: "scratch")
        #expect(paths.publish == "/var/lib/kubelet/pods/\(Self.podUID)/volumes/kubernetes.io~csi/scratch/mount")
        #expect(paths.staging == nil)
        let handle = VolumePaths.inlineVolumeHandle(podUID: Self.podUID, volume: "scratch")
        #expect(handle == "csi-f19b10fafb21458cec061b806a422991c58da6942018a6ea92f43354fd817947")
    }

    @Test(arguments: ["/var/lib/k0s/kubelet", "/var/lib/k0s/kubelet/", "/var/lib/k0s/kubelet//"])
    func `slashes at the end of the root directory do not matter`(root: String) {
        #expect(Self.paths(root: root).publish.hasPrefix("/var/lib/k0s/kubelet/pods/"))
    }

    @Test func `digests are those of FIPS 180-2`() {
        #expect(sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
