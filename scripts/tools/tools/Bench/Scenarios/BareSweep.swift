// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CSISpec
import GRPCTransport
import SwiftProtobuf

/// The baseline of sweeps: receives a legacy driver's lists with the sidecar's gRPC transport, decodes them, and
/// discards them.
struct BareSweep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-sweep",
        abstract: "List a driver's volumes, decode the responses and discard them, until terminated.",
        shouldDisplay: false
    )

    @Option(help: "The driver's socket.")
    var csiAddress: String

    @Option(help: "The number of lists; 0 for no limit.")
    var sweeps = 0

    func run() async throws {
        let channel = try GRPCChannel(target: csiAddress)
        var count = 0
        repeat {
            var request = CSIListVolumesRequest()
            repeat {
                let bytes: [UInt8] = try request.serializedBytes()
                let reply = try await channel.unary(CSIMethodName.listVolumes, request: bytes, timeout: .seconds(60))
                request.startingToken = try CSIListVolumesResponse(serializedBytes: reply).nextToken
            } while !request.startingToken.isEmpty
            count += 1
        } while count != sweeps
        await channel.shutdown()
    }

    /// Runs it in its own process.
    static func run<Result: Sendable>(
        in cluster: ClusterProcess,
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let arguments = ["bench", "bare-sweep", "--csi-address", cluster.socket]
        return try await withProcess(try pathOfThisProgram(), arguments, log: cluster.log, body)
    }
}
