// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CSISpec
import GRPCTransport
import SwiftProtobuf

/// The baseline for the cost of sweeps: lists a legacy driver's volumes with the sidecar's gRPC transport, decodes the
/// responses, and discards them.
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
        var completed = 0
        repeat {
            var request = CSIListVolumesRequest()
            repeat {
                let bytes: [UInt8] = try request.serializedBytes()
                let response = try await channel.unary(CSIMethodName.listVolumes, request: bytes, timeout: .seconds(60))
                request.startingToken = try CSIListVolumesResponse(serializedBytes: response).nextToken
            } while !request.startingToken.isEmpty
            completed += 1
        } while completed != sweeps
        await channel.shutdown()
    }

    /// Runs `body` with the id of a process that sweeps without a pause.
    static func run<Result: Sendable>(
        in cluster: ClusterProcess,
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let arguments = ["bench", "bare-sweep", "--csi-address", cluster.socket]
        return try await withProcess(try pathOfThisProgram(), arguments, log: cluster.log, body)
    }
}
