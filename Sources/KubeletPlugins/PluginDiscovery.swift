// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthCore
package import Logging
import Synchronization

/// Finds the CSI drivers of a node by the sockets with which they register at the kubelet.
///
/// The directory is read every few seconds. inotify would save one readdir in that time, and needs a walk all the same:
/// its queue may overflow, and it does not see what existed before the watch or in directories that are newer than it.
///
/// Each socket is called with GetInfo until it has responded once. NotifyRegistrationStatus, by which the kubelet
/// confirms a registration, is for the kubelet only, and is never called. A socket that does not respond delays no
/// other.
///
/// The directories ROOT/plugins_registry and ROOT/plugins must be mounted at the paths that they have on the host;
/// read-only is enough.
///
/// Source: Kubernetes, pkg/kubelet/pluginmanager; k8s.io/kubelet, pkg/apis/pluginregistration/v1.
package final class PluginDiscovery: Sendable {
    package struct Configuration: Sendable {
        package var directories: KubeletDirectories
        /// From one reading of the directory to the next.
        package var interval: Duration
        /// The deadline of each call.
        package var timeout: Duration

        package init(
            kubeletRoot: String = "/var/lib/kubelet",
            interval: Duration = .seconds(10),
            timeout: Duration = .seconds(5)
        ) {
            directories = KubeletDirectories(root: kubeletRoot)
            self.interval = interval
            self.timeout = timeout
        }
    }

    private enum Event: Sendable {
        case readingIsDue
        case reply(RegistrationSocket, RegistrationReply)
    }

    private static let getInfo = "/pluginregistration.Registration/GetInfo"

    let configuration: Configuration
    let logger: Logger
    private let lastProblem = Mutex<String?>(nil)

    package init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Why drivers may not be found, and what to do: the directory cannot be read. nil when it can, and before the
    /// first reading.
    package var problem: String? { lastProblem.withLock { $0 } }

    /// Runs until it is cancelled.
    ///
    /// - Parameter onChange: called with all drivers, by name, whenever they have changed. Nothing is read and no reply
    ///   is used while it runs.
    /// - Throws: `CancellationError`, or the error of `onChange`, which ends the discovery.
    package func run(
        clock: some Clock<Duration>,
        onChange: ([RegisteredPlugin]) async throws -> Void
    ) async throws {
        let directory = RegistrationDirectory(path: configuration.directories.pluginsRegistry)
        let interval = configuration.interval
        let origin = clock.now
        var table = RegistrationTable()
        var plugins: [RegisteredPlugin] = []
        try await withThrowingTaskGroup(of: Event.self) { group in
            group.addTask { .readingIsDue }
            while let event = try await group.next() {
                // Calls that were ended by the cancellation are not failures.
                try Task.checkCancellation()
                let now = origin.duration(to: clock.now)
                switch event {
                case .readingIsDue:
                    let scan = directory.scan()
                    lastProblem.withLock { $0 = scan.failures.first.map(explanation) }
                    log(table.update(scan, at: now))
                    group.addTask {
                        try await clock.sleep(for: interval)
                        return .readingIsDue
                    }
                case .reply(let socket, let reply): log(table.complete(socket, reply, at: now))
                }
                for socket in table.takeCalls(at: now) {
                    group.addTask { .reply(socket, await self.reply(of: socket)) }
                }
                guard table.plugins != plugins else { continue }
                logChange(from: plugins, to: table.plugins)
                plugins = table.plugins
                try await onChange(plugins)
            }
        }
    }

    private func reply(of socket: RegistrationSocket) async -> RegistrationReply {
        var channelConfiguration = GRPCChannel.Configuration()
        // Far more than a PluginInfo has.
        channelConfiguration.maximumReceiveMessageSize = 1 << 20
        do throws(GRPCError) {
            let channel = try GRPCChannel(target: socket.path, configuration: channelConfiguration)
            let response: Result<[UInt8], GRPCError>
            do throws(GRPCError) {
                response = .success(try await channel.unary(Self.getInfo, request: [], timeout: configuration.timeout))
            } catch {
                response = .failure(error)
            }
            await channel.shutdown()
            return RegistrationReply(
                try response.get(),
                socket: socket.path,
                directories: configuration.directories
            )
        } catch {
            return .failed(SocketFile(path: socket.path).problem ?? bounded("GetInfo: \(error)", toBytes: 1024))
        }
    }
}
