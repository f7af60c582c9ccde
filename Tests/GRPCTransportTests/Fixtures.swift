// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import Glibc
import HealthMonitorTestKit
import Synchronization
import Testing

/// A unique path for a socket, short because a Unix socket's path has at most 107 bytes.
func temporarySocket() -> String {
    "/tmp/grpc-\(UUID().uuidString.prefix(13)).sock"
}

/// Runs `body` with a server on a socket of its own and a channel to it.
@discardableResult
func withServer<R>(
    _ handler: @escaping GRPCServer.Handler,
    _ body: (_ channel: GRPCChannel, _ path: String) async throws -> R
) async throws -> R {
    let path = temporarySocket()
    let server = try GRPCServer(address: path, handler: handler)
    let channel = try GRPCChannel(target: "unix://" + path)
    do {
        let result = try await body(channel, path)
        await channel.shutdown()
        await server.shutdown()
        return result
    } catch {
        await channel.shutdown()
        await server.shutdown()
        throw error
    }
}

/// Returns the request.
let echo: GRPCServer.Handler = { _, request in .success(request) }

/// Returns when the call is cancelled, too late for the client.
let silence: GRPCServer.Handler = { _, _ in
    await forever()
    return .failure(GRPCError(code: .cancelled, message: "cancelled"))
}

/// Returns on cancellation.
func forever() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    continuation.finish()
}

/// Longer than any call that ends by itself.
let ample = Duration.seconds(3600)

/// Runs `body` with a socket that accepts connections and sends nothing.
func withSilentListener(_ body: (_ path: String) async throws -> Void) async throws {
    let path = temporarySocket()
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    // The kernel establishes connections up to the backlog without accept(2).
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer {
        close(descriptor)
        unsafe _ = unlink(path)
    }
    let isBound = unsafe withUnsafePointer(to: &address) { address in
        unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            unsafe bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
    try #require(isBound && listen(descriptor, 16) == 0)
    try await body(path)
}

/// Holds its callers until `count` of them have arrived.
final class Barrier: Sendable {
    private let waiters = Mutex<[CheckedContinuation<Void, Never>]>([])
    private let count: Int

    init(count: Int) {
        self.count = count
    }

    func arrive() async {
        await withCheckedContinuation { continuation in
            let complete = waiters.withLock { waiters in
                waiters.append(continuation)
                return waiters.count == count ? waiters : []
            }
            for waiter in complete { waiter.resume() }
        }
    }
}

extension GRPCChannel {
    /// Waits until the connection is no longer in `state`.
    ///
    /// - Returns: the new state; `state` itself after `timeout`, and possibly on cancellation, which ends the wait.
    func waitForConnectivityChange(from state: ConnectivityState, timeout: Duration) async -> ConnectivityState {
        _ = await changesConnectivity(from: state, timeout: timeout)
        return connectivityState(tryToConnect: false)
    }

    /// Waits for a state of the connection; connects an idle one unless `.idle` is the state.
    func waitUntil(_ expected: ConnectivityState) async {
        var state = connectivityState(tryToConnect: expected != .idle)
        while state != expected {
            state = await waitForConnectivityChange(from: state, timeout: ample)
            if state == .idle { state = connectivityState(tryToConnect: expected != .idle) }
        }
    }
}
