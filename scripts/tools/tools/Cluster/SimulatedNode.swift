// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

/// A node with a kubelet root directory and, for each volume, a pod that uses it: what the kubelet and a CSI driver's
/// node plugin leave behind for an agent to find.
struct SimulatedNode: Sendable {
    /// A volume as it is published for its pod.
    private struct Publication: Sendable {
        let handle: String
        /// The directory that is mounted.
        let source: String
        let path: String
    }

    /// The name and the uid in the example of csi-driver-host-path.
    private static let podName = "my-csi-app"
    private static let podUID = "0ed3b369-d5a6-4b99-b489-1bb651710c60"
    static let notMounted = "The volume isn't mounted"

    let kubeletRoot: String
    private let driver: SimulatedDriver
    private let registration: SimulatedPluginRegistration
    private let hasMounts: Bool
    private var publications: [Publication] = []

    /// - Parameters:
    ///   - hasMounts: whether volumes are really mounted (mount(8)), which requires the right to do so; the driver then
    ///     looks at the mounts. Otherwise a volume that is not mounted is only a condition of the driver.
    init(kubeletRoot: String, driver: SimulatedDriver, hasMounts: Bool) {
        self.kubeletRoot = kubeletRoot
        self.driver = driver
        self.hasMounts = hasMounts
        let name = driver.configuration.name
        registration = SimulatedPluginRegistration(
            socket: "\(kubeletRoot)/plugins_registry/\(name)-reg.sock",
            info: .init(name: name, endpoint: driver.socket)
        )
    }

    /// Creates the Node and the pods, publishes their volumes and registers the driver.
    ///
    /// - Parameter backing: the directory of the volumes' directories.
    mutating func start(
        name: String,
        volumes: [VolumeFixture],
        backing: URL,
        in server: SimulatedAPIServer
    ) async throws {
        try NodeFixture(name: name).store(in: server)
        for (number, volume) in volumes.enumerated() {
            var pod = PodFixture(
                name: number == 0 ? Self.podName : "\(Self.podName)-\(number)",
                nodeName: name,
                volumes: [.init(name: "my-csi-volume", source: .claim(volume.claimName))]
            )
            if number == 0 { pod.uid = Self.podUID }
            let uid = try pod.create(in: server)
            let path = volume.publishPath(podUID: uid, kubeletRoot: kubeletRoot)
            let source = backing.appendingPathComponent(volume.handle, isDirectory: true).path
            for directory in [path, source] {
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            }
            publications.append(Publication(handle: volume.handle, source: source, path: path))
        }
        try await mount(publications.count)
        try FileManager.default.createDirectory(
            atPath: "\(kubeletRoot)/plugins_registry",
            withIntermediateDirectories: true
        )
        try registration.start()
    }

    /// Removes what would outlive this process.
    func stop() async {
        await registration.stop()
        guard hasMounts else { return }
        for publication in publications { _ = try? await output(of: "umount", [publication.path]) }
    }

    // MARK: Breaking and mending

    /// Mounts the first volumes again, and ends their hanging.
    func mount(_ count: Int) async throws {
        for publication in publications.prefix(count) {
            driver.respond(nil, atPath: publication.path)
            if !hasMounts {
                driver.set(nodeCondition: .healthy, ofVolume: publication.handle)
            } else if try await !isMounted(publication) {
                _ = try await output(of: "mount", ["--bind", publication.source, publication.path])
            }
        }
    }

    /// Unmounts the first volumes under their running pods.
    func unmount(_ count: Int) async throws {
        for publication in publications.prefix(count) {
            if !hasMounts {
                driver.set(nodeCondition: .abnormal(Self.notMounted), ofVolume: publication.handle)
            } else if try await isMounted(publication) {
                _ = try await output(of: "umount", [publication.path])
            }
        }
    }

    /// Lets calls about the first volumes hang, as on a mount whose server is gone.
    func hang(_ count: Int) {
        for publication in publications.prefix(count) { driver.respond(.never, atPath: publication.path) }
    }

    private func isMounted(_ publication: Publication) async throws -> Bool {
        try await output(of: "findmnt", ["--noheadings", "--list", "--output", "TARGET"])
            .split(separator: "\n").contains { $0 == publication.path }
    }

    /// Where the first volume is mounted.
    var firstPath: String? { publications.first?.path }

    var registrationSocket: String { registration.socket }
}
