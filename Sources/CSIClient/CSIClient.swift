// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
package import GRPCTransport
package import Logging
import SwiftProtobuf
import Synchronization

/// A CSI driver behind its socket.
///
/// One connection, made when it is first needed and made anew by gRPC when it breaks. All calls may run at the same
/// time. A call that is cancelled throws a ``CSIError`` with the status Cancelled.
///
/// Calls are logged at the `trace` level, requests and responses with them, secrets never: a secret that was sent with a
/// call is taken out of everything that the driver says in answer.
package final class CSIClient: Sendable {
    /// Where the driver is and how long it may take.
    package struct Configuration: Sendable {
        /// A path, or an address as gRPC takes it: `unix:///run/csi/socket`.
        package var address: String
        /// How long one call may take, a page of a list being one call.
        package var timeout: Duration
        /// The most volumes that a page of a list may have; 0 leaves it to the driver. There are drivers that
        /// take a bound for an index and truncate their list, and drivers that fail without one.
        package var maxEntries: Int32

        /// Describes a driver's socket.
        package init(address: String, timeout: Duration = .seconds(15), maxEntries: Int32 = 0) {
            self.address = address
            self.timeout = timeout
            self.maxEntries = maxEntries
        }
    }

    /// One call, as a metric counts it.
    package struct CallObservation: Sendable {
        /// `unknown-driver` until the driver is identified, as csi-lib-utils labels it.
        package var driverName: String
        /// `/csi.v1.Controller/ListVolumes`
        package var method: String
        /// The canonical name of the gRPC status: `OK`, `DeadlineExceeded`.
        package var code: String
        /// Whether there was an answer that the specification allows; false also for an OK without what is required.
        package var isUsable: Bool
        /// How a usable reply deviates from the specification; nil where it does not.
        package var deviation: ReplyDeviation?
        /// From sending to the answer.
        package var duration: Duration
    }

    /// The driver behind the socket, as it last identified itself.
    private struct Driver {
        /// As csi-lib-utils labels a driver that has not.
        var name = "unknown-driver"
        var version = ""
        /// What was logged of this driver already.
        var warnings: Set<String> = []
    }

    let configuration: Configuration
    let logger: Logger
    private let channel: GRPCChannel
    private let observer: @Sendable (CallObservation) -> Void
    private let driver = Mutex(Driver())

    /// Prepares a connection; nothing is sent before the first call.
    ///
    /// - Parameter observer: called after every call, from the caller's task.
    /// - Throws: `GRPCError` when the address is none.
    package init(
        configuration: Configuration,
        logger: Logger,
        observer: @escaping @Sendable (CallObservation) -> Void = { _ in }
    ) throws(GRPCError) {
        self.configuration = configuration
        self.logger = logger
        self.observer = observer
        self.channel = try GRPCChannel(target: configuration.address)
    }

    /// Whether the connection to the driver stands, now. Asking makes one that does not be made, for the next time.
    package var isConnected: Bool {
        channel.connectivityState(tryToConnect: true) == .ready
    }

    /// The name and the version of the driver as it last identified itself; `unknown-driver` and empty before, as
    /// csi-lib-utils labels its metrics.
    package var driverInfo: (name: String, version: String) {
        driver.withLock { ($0.name, $0.version) }
    }

    /// Waits until the connection breaks: the driver ended, and may be another version when it is back. Returns at once
    /// when there is no connection, and on cancellation.
    package func waitUntilDisconnected() async {
        while !Task.isCancelled, channel.connectivityState(tryToConnect: false) == .ready {
            _ = await channel.waitForConnectivityChange(from: .ready, timeout: .seconds(60))
        }
    }

    /// Ends the calls in flight and closes the connection. May be called more than once.
    package func shutdown() async {
        await channel.shutdown()
    }

    /// One call: encodes, sends, waits, decodes.
    ///
    /// - Parameter read: what the answer says; throws where it lacks what the specification requires.
    func call<Response: Message, Answer>(
        _ method: String,
        _ request: some Message,
        _ read: (Response) throws(CSIError) -> Answer
    ) async throws(CSIError) -> Answer {
        try await call(method, request, returning: Response.self) { bytes, _ throws(CSIError) in
            try read(Response(reply: bytes, method: method))
        }
    }

    /// A call whose answer needs nothing that the specification requires.
    func call<Response: Message>(
        _ method: String,
        _ request: some Message,
        returning: Response.Type
    ) async throws(CSIError) -> Response {
        try await call(method, request) { (response: Response) throws(CSIError) in response }
    }

    /// A call whose answer is read from its bytes.
    ///
    /// - Parameter read: may add to the observation.
    func call<Response: Message, Answer>(
        _ method: String,
        _ request: some Message,
        returning: Response.Type,
        bytes read: ([UInt8], inout CallObservation) throws(CSIError) -> Answer
    ) async throws(CSIError) -> Answer {
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
        let answer: Answer
        do {
            bytes = try await send(method, request, &observation)
            answer = try read(bytes, &observation)
            observation.isUsable = true
        } catch {
            var error = error
            error.message = redaction(error.message)
            logger.trace("GRPC error", metadata: ["method": "\(method)", "err": "\(error)"])
            throw error
        }
        logger.trace(
            "GRPC response",
            metadata: ["method": "\(method)", "response": "\(text(redacted(Response.self, bytes, redaction)))"]
        )
        return answer
    }

    func identified(as name: String, version: String) {
        driver.withLock { driver in
            guard (driver.name, driver.version) != (name, version) else { return }
            driver = Driver(name: name, version: version)
        }
    }

    /// Whether this is the first warning of its kind about this driver, in this version.
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
            // Only messages with required fields or text that is no UTF-8 cannot be encoded: ours have neither.
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

    /// A reply for the log. Secrets are taken out of the decoded message: in its JSON they would be escaped.
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

    /// For the log: the message as JSON, without secrets.
    private func text(_ message: (some Message)?) -> String {
        guard var shown: any Message = message else { return "(cannot be shown)" }
        if var bearing = message as? any Message & SecretBearing {
            bearing.secrets = [:]
            shown = bearing
        }
        return (try? shown.jsonString()) ?? "(cannot be shown)"
    }
}
