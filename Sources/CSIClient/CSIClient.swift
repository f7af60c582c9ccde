// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
package import GRPCTransport
import HealthCore
package import Logging
import SwiftProtobuf
import Synchronization

/// A client for the CSI driver behind a socket.
///
/// It has one connection, which gRPC makes for the first call, again after it breaks and after ``reconnect()``. Calls
/// may run concurrently. A cancelled call throws a ``CSIError`` with the status Cancelled.
///
/// Calls are logged with requests and responses at the `trace` level. Secrets are never logged: those that were sent
/// with a call are removed from everything in its response.
package final class CSIClient: Sendable {
    package struct Configuration: Sendable {
        /// A path, or a gRPC address: `unix:///run/csi/socket`.
        package var address: String
        /// The deadline of each call; each page of a list is a call.
        package var timeout: Duration
        /// `max_entries` of lists; 0 leaves the page size to the driver. Some drivers take it for an index and truncate
        /// their list, and some fail without it.
        package var maxEntries: Int32

        package init(address: String, timeout: Duration = .seconds(15), maxEntries: Int32 = 0) {
            self.address = address
            self.timeout = timeout
            self.maxEntries = maxEntries
        }
    }

    /// One call, for metrics.
    package struct CallObservation: Sendable {
        /// `unknown-driver` until the driver is identified, as in csi-lib-utils.
        package var driverName: String
        /// `/csi.v1.Controller/ListVolumes`
        package var method: String
        /// The canonical name of the gRPC status: `OK`, `DeadlineExceeded`.
        package var code: String
        /// Whether there was a response that conforms to the specification; also false for OK without a required field.
        package var isUsable: Bool
        /// How a usable reply deviates from the specification.
        package var deviation: ReplyDeviation?
        /// From sending the request to the response.
        package var duration: Duration
    }

    /// The driver as it last identified itself.
    private struct Driver {
        /// The label of csi-lib-utils for a driver that is not identified yet.
        var name = "unknown-driver"
        var version = ""
        /// The kinds of warnings that were logged for this driver.
        var warnings: Set<String> = []
    }

    let configuration: Configuration
    let logger: Logger
    private let currentChannel: Mutex<GRPCChannel>
    private let observer: @Sendable (CallObservation) -> Void
    private let driver = Mutex(Driver())

    /// Makes a client, which connects with the first call.
    ///
    /// - Parameter observer: called after every call, in the caller's task.
    /// - Throws: `GRPCError` when the address is invalid.
    package init(
        configuration: Configuration,
        logger: Logger,
        observer: @escaping @Sendable (CallObservation) -> Void = { _ in }
    ) throws(GRPCError) {
        self.configuration = configuration
        self.logger = logger
        self.observer = observer
        currentChannel = Mutex(try GRPCChannel(target: configuration.address))
    }

    private var channel: GRPCChannel { currentChannel.withLock { $0 } }

    /// Whether the client is connected now. Also starts connecting an idle channel.
    package var isConnected: Bool {
        channel.connectivityState(tryToConnect: true) == .ready
    }

    /// The driver's name and version, for metrics; `unknown-driver` and empty until it is identified, as in
    /// csi-lib-utils.
    package var driverInfo: (name: String, version: String) {
        driver.withLock { ($0.name, $0.version) }
    }

    /// Waits until the connection breaks, even if another one is open at once: the driver has ended, and may return as
    /// another version. Returns at once when there is no connection, and on cancellation.
    package func waitUntilDisconnected() async {
        let channel = channel
        while !Task.isCancelled, channel.connectivityState(tryToConnect: false) == .ready {
            if await channel.changesConnectivity(from: .ready, timeout: .seconds(60)) { return }
        }
    }

    /// Lets the next call make a connection of its own: a process that no longer has the driver's socket may keep an
    /// existing one open. Calls in flight go on; the earlier connection is closed when they have ended.
    ///
    /// Nothing happens after ``shutdown()``.
    package func reconnect() {
        guard let new = channel.reopened() else { return }
        // The earlier one is released when the lock is not held any more.
        _ = currentChannel.withLock { channel in
            let earlier = channel
            channel = new
            return earlier
        }
    }

    /// Cancels the calls in flight and closes the connection. Idempotent.
    package func shutdown() async {
        await channel.shutdown()
    }

    /// A call with a generated response.
    func call<Response: Message>(
        _ method: String,
        _ request: some Message,
        returning: Response.Type
    ) async throws(CSIError) -> Response {
        try await call(method, request, returning: Response.self) { bytes, _ throws(CSIError) in
            try Response(reply: bytes, method: method)
        }
    }

    /// A call whose response `decode` reads from its bytes.
    ///
    /// - Parameters:
    ///   - returning: the generated message, for the log.
    ///   - decode: throws when the response violates the specification; may add to the observation.
    func call<Response: Message, Value>(
        _ method: String,
        _ request: some Message,
        returning: Response.Type,
        decode: ([UInt8], inout CallObservation) throws(CSIError) -> Value
    ) async throws(CSIError) -> Value {
        logger.trace("GRPC call", metadata: ["method": "\(method)", "request": "\(text(request))"])
        var observation = CallObservation(
            driverName: driver.withLock { $0.name },
            method: method,
            code: GRPCStatus.Code.ok.description,
            isUsable: false,
            duration: .zero
        )
        defer { observer(observation) }
        let redaction = Redaction((request as? any SecretBearing)?.secrets ?? [:])
        let bytes: [UInt8]
        let value: Value
        do {
            bytes = try await send(method, request, &observation)
            value = try decode(bytes, &observation)
            observation.isUsable = true
        } catch {
            var error = error
            // Whole, before it is cut: a part of a secret would not be found.
            error.message = bounded(printable(redaction(error.message)), toBytes: 4096)
            logger.trace("GRPC error", metadata: ["method": "\(method)", "err": "\(error)"])
            throw error
        }
        logger.trace(
            "GRPC response",
            metadata: ["method": "\(method)", "response": "\(text(redacted(Response.self, bytes, redaction)))"]
        )
        return value
    }

    /// Sets the driver's name and version. Warnings are logged again for another driver or version.
    func setDriver(name: String, version: String) {
        driver.withLock { driver in
            guard (driver.name, driver.version) != (name, version) else { return }
            driver = Driver(name: name, version: version)
        }
    }

    /// Whether this is the first warning of its kind for this version of the driver.
    func isFirst(_ warning: String) -> Bool {
        driver.withLock { $0.warnings.insert(warning).inserted }
    }

    private func send(
        _ method: String,
        _ request: some Message,
        _ observation: inout CallObservation
    ) async throws(CSIError) -> [UInt8] {
        let clock = ContinuousClock()
        let start = clock.now
        defer { observation.duration = clock.now - start }
        let bytes: [UInt8]
        do {
            bytes = try request.serializedBytes()
        } catch {
            // Cannot happen: only messages with required fields or with text that is not UTF-8 cannot be encoded.
            observation.code = GRPCStatus.Code.internal.shortDescription
            throw CSIError(code: .status(.internal), method: method, message: "cannot encode the request: \(error)")
        }
        do {
            return try await channel.unary(method, request: bytes, timeout: configuration.timeout)
        } catch {
            observation.code = error.status.code.shortDescription
            throw CSIError(error, method: method)
        }
    }

    /// A response for the log. Secrets are removed from the decoded message, because its JSON would have them escaped.
    private func redacted<Response: Message>(
        _: Response.Type,
        _ bytes: [UInt8],
        _ redaction: Redaction
    ) -> Response? {
        guard var response = try? Response(serializedBytes: bytes) else { return nil }
        if var redactable = response as? any Redactable {
            redactable.redact(redaction)
            if let redacted = redactable as? Response { response = redacted }
        }
        return response
    }

    /// A message for the log: JSON without secrets.
    private func text(_ message: (some Message)?) -> String {
        guard var shown: any Message = message else { return "(cannot be shown)" }
        if var bearing = message as? any Message & SecretBearing {
            bearing.removeSecrets()
            shown = bearing
        }
        return (try? shown.jsonString()) ?? "(cannot be shown)"
    }
}
