// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Foundation
import HealthMonitorTestKit
import UnixSignals

/// A simulated Kubernetes API server and CSI driver in which to try the monitor.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract:
            "Run a simulated API server (HTTPS) and a simulated CSI driver (Unix socket) until interrupted.",
        discussion: """
            It creates in the directory: kubeconfig, for kubectl and the monitor, and the token that it refers to; \
            csi.sock, the driver's socket; volumes/HANDLE, the backing directory of each volume; and finally ready.

            Volumes become unhealthy as with csi-driver-host-path. With --driver-generation=legacy, a volume is abnormal \
            while its backing directory is missing. With =health, the file volumes/HANDLE.health has its health: \
            {"status": "DEGRADED", "reason": "...", "message": "..."}, where the status is DEGRADED, INACCESSIBLE or \
            DATA_LOSS, or a list of such objects.

            With --side=node, the driver is a node plugin. Each volume is used by a running pod on the node; the first \
            is my-csi-app, which uses the claim csi-pvc. The directory kubelet has the layout of the kubelet's root \
            directory: plugins_registry/DRIVER-reg.sock, by which the driver is found, and \
            pods/UID/volumes/kubernetes.io~csi/PV/mount, where the pod's volume is. With --mounts and \
            --driver-generation=legacy, a volume is abnormal while nothing is mounted there. With =health, the file \
            volumes/HANDLE.node.health has the volume's health on the node.

            Faults, for --fault and for the command fault: \(Fault.all.map(\.name).joined(separator: ", ")).

            With --control, each line of standard input is a command, and for each there is a line on standard output \
            with a JSON object, {"error": "..."} for a command that failed. The first line is \
            {"ready": true, "url": "..."}, when everything is ready. The program ends when standard input ends. The \
            commands:

            \(Control.help)
            """
    )

    @Option(help: "The directory for kubeconfig, csi.sock and volumes/.")
    var directory: String

    @Option(help: "The side of the driver: controller (one for the cluster) or node (one for each node).")
    var side = Side.controller

    @Option(help: "The node's name.")
    var nodeName = "minikube"

    @Flag(help: "Whether the node's volumes are really mounted, which requires the right to mount.")
    var mounts = false

    @Option(help: "The driver's name.")
    var driverName = "hostpath.csi.k8s.io"

    @Option(
        help: "The driver's health RPCs: legacy (VolumeCondition, up to CSI 1.12) or health (CSI 1.13)."
    )
    var driverGeneration = Generation.legacy

    @Flag(
        inversion: .prefixedNo,
        help: "Whether the API server stores status.healthStatus of claims: its feature gate CSIVolumeHealth."
    )
    var volumeHealthStatus = true

    @Flag(inversion: .prefixedNo, help: "Whether the API server streams lists: its feature gate WatchList.")
    var watchList = true

    @Option(help: "The API server's port on 127.0.0.1; 0 chooses a free one.")
    var port = 0

    @Option(help: "The number of PersistentVolumes, each bound to a PersistentVolumeClaim.")
    var volumes = 1

    @Flag(inversion: .prefixedNo, help: "Whether the driver can list volumes; otherwise it must be called for each.")
    var lists = true

    @Option(help: "The driver's page size for lists; 0 for one page.")
    var pageSize = 0

    @Flag(
        inversion: .prefixedNo,
        help: "Whether volumes have backing directories; without them, only commands change their health."
    )
    var backingDirectories = true

    @Option(help: "A fault that is active from the start; may be repeated. --control can end it.")
    var fault: [String] = []

    @Flag(help: "Read commands from standard input and write their results to standard output.")
    var control = false

    /// Which of the driver's two plugins runs.
    enum Side: String, ExpressibleByArgument, CaseIterable {
        case controller
        case node
    }

    /// The generations of CSI's health RPCs.
    enum Generation: String, ExpressibleByArgument, CaseIterable {
        case legacy
        case health

        func configuration(_ side: Side) -> SimulatedDriver.Configuration {
            switch (side, self) {
            case (.controller, .legacy): .legacy
            case (.controller, .health): .health
            case (.node, .legacy): .legacyNode
            case (.node, .health): .healthNode
            }
        }
    }

    /// When a volume is unhealthy.
    private var unhealthyCondition: String {
        switch (side, driverGeneration) {
        case (_, .health): "while there is a file HANDLE.health"
        case (.controller, .legacy): "while its directory is missing"
        case (.node, .legacy) where mounts: "while it is not mounted for its pod"
        case (.node, .legacy): "by commands only (--control)"
        }
    }

    private var featureGates: Set<FeatureGate> {
        var gates: Set<FeatureGate> = []
        if volumeHealthStatus { gates.insert(.csiVolumeHealth) }
        if watchList { gates.insert(.watchList) }
        return gates
    }

    func validate() throws {
        guard volumes >= 0, pageSize >= 0 else {
            throw ValidationError("--volumes and --page-size must not be negative")
        }
        guard side == .node || !mounts else { throw ValidationError("--mounts requires --side=node") }
        guard (0...65_535).contains(port) else {
            throw ValidationError("--port must be between 0 and 65535")
        }
        for name in fault where Fault(name: name) == nil {
            throw ValidationError("unknown fault \"\(name)\", see --help")
        }
    }

    func run() async throws {
        let interruptions = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let root = URL(fileURLWithPath: directory, isDirectory: true)
        let backing = root.appendingPathComponent("volumes", isDirectory: true)
        try FileManager.default.createDirectory(at: backing, withIntermediateDirectories: true)
        let ready = root.appendingPathComponent("ready")
        // An earlier run that was killed may have left it.
        try? FileManager.default.removeItem(at: ready)
        var driverConfiguration = driverGeneration.configuration(side)
        driverConfiguration.name = driverName
        if mounts { driverConfiguration.pathCheck = .mounted }
        driverConfiguration.pageSize = pageSize
        if !lists {
            driverConfiguration.controllerCapabilities?.removeAll {
                SimulatedDriver.Configuration.listCapabilities.contains($0)
            }
        }
        let driver = SimulatedDriver(
            socket: root.appendingPathComponent("csi.sock").path,
            configuration: driverConfiguration
        )
        var serverConfiguration = SimulatedAPIServer.Configuration()
        serverConfiguration.port = port
        let tokenFile = root.appendingPathComponent("token").path
        try Data(SimulatedAPIServer.adminToken.utf8).write(to: URL(fileURLWithPath: tokenFile))
        try await SimulatedAPIServer.withServer(configuration: serverConfiguration) { server in
            server.featureGates = featureGates
            let fixtures = (0..<volumes).map { VolumeFixture(number: $0, driverName: driverName) }
            driver.volumes = try fixtures.map { volume in
                try volume.create(in: server)
                guard backingDirectories else { return SimulatedVolume(id: volume.handle) }
                let directory = backing.appendingPathComponent(volume.handle, isDirectory: true)
                try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
                return SimulatedVolume(id: volume.handle, backingDirectory: directory.path)
            }
            let kubeconfig = root.appendingPathComponent("kubeconfig").path
            try server.writeKubeconfig(to: kubeconfig, .tokenFile(tokenFile))
            try driver.start()
            let injector = FaultInjector(
                server: server,
                drivers: [driver],
                volumes: fixtures,
                tokenFiles: [tokenFile]
            )
            var node: SimulatedNode?
            if side == .node {
                let kubeletRoot = root.appendingPathComponent("kubelet", isDirectory: true).path
                var started = SimulatedNode(kubeletRoot: kubeletRoot, driver: driver, hasMounts: mounts)
                try await started.start(name: nodeName, volumes: fixtures, backing: backing, in: server)
                node = started
            }
            for fault in fault.compactMap(Fault.init) { try await injector.begin(fault) }
            try Data().write(to: ready)
            if control {
                Control.write(["ready": true, "url": .string(server.url)])
                let cluster = ControlledCluster(server: server, driver: driver, injector: injector, node: node)
                let control = Control(cluster: cluster)
                await Self.first {
                    await control.run()
                } or: {
                    for await _ in interruptions { break }
                }
            } else {
                printSummary(server, driver, node, backing: backing, kubeconfig: kubeconfig)
                for await _ in interruptions { break }
            }
            try? FileManager.default.removeItem(at: ready)
            await node?.stop()
            await driver.stop()
        }
    }

    /// Returns when either has ended, and cancels the other.
    private static func first(
        _ one: @escaping @Sendable () async -> Void,
        or other: @escaping @Sendable () async -> Void
    ) async {
        await withTaskGroup { group in
            group.addTask(operation: one)
            group.addTask(operation: other)
            await group.next()
            group.cancelAll()
        }
    }

    /// Unbuffered, also when standard output is a file.
    private func printSummary(
        _ server: SimulatedAPIServer,
        _ driver: SimulatedDriver,
        _ node: SimulatedNode?,
        backing: URL,
        kubeconfig: String
    ) {
        var lines = [
            "API server  \(server.url)",
            "kubeconfig  \(kubeconfig)",
            "CSI driver  \(driverName) at \(driver.socket)",
            "volumes     \(volumes) in \(backing.path), each unhealthy \(unhealthyCondition)",
        ]
        if let node {
            lines.append("node        \(nodeName), kubelet root directory \(node.kubeletRoot)")
            lines.append("registered  \(node.registrationSocket)")
            if let path = node.firstPath { lines.append("mounted     \(path)") }
        }
        FileHandle.standardOutput.write(Data((lines + ["ready", ""]).joined(separator: "\n").utf8))
    }
}
