// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

@testable import GRPCTransport

/// A socket path of its own for each test. Short: a Unix socket's path has at most 107 bytes.
func temporarySocket() -> String {
    "/tmp/grpc-\(UUID().uuidString.prefix(13)).sock"
}

/// A server on a socket of its own, and a channel to it, for as long as `body` runs.
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

/// Answers with the request.
let echo: GRPCServer.Handler = { _, request in .success(request) }

/// Answers when the call is cancelled, which nobody hears.
let silence: GRPCServer.Handler = { _, _ in
    await forever()
    return .failure(GRPCError(code: .cancelled, message: "given up"))
}

/// Returns on cancellation.
func forever() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    continuation.finish()
}

/// Long enough never to end a call that ends by itself.
let ample = Duration.seconds(60)
