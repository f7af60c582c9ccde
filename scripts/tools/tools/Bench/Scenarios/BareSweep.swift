// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CSISpec
import GRPCTransport
import SwiftProtobuf

/// The baseline of sweeps: receives and decodes a legacy driver's lists with what the sidecar uses for that, and does
/// nothing with them.
struct BareSweep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-sweep",
        abstract: "Lists a driver's volumes, decodes the answers and forgets them, until it is ended.",
        shouldDisplay: false
    )

    @Option(help: "The driver's socket.")
    var csiAddress: String

    @Option(help: "How often to list them; 0: for ever.")
    var sweeps = 0

    func run() async throws {
        let channel = try GRPCChannel(target: csiAddress)
        var count = 0
        repeat {
            var request = CSIListVolumesRequest()
            repeat {
                let bytes: [UInt8] = try request.serializedBytes()
                let answer = try await channel.unary(CSIMethodName.listVolumes, request: bytes, timeout: .seconds(60))
                request.startingToken = try CSIListVolumesResponse(serializedBytes: answer).nextToken
            } while !request.startingToken.isEmpty
            count += 1
        } while count != sweeps
        await channel.shutdown()
    }

    /// Runs it in a process of its own.
    static func run<Result: Sendable>(
        in cluster: ClusterProcess,
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let arguments = ["bench", "bare-sweep", "--csi-address", cluster.socket]
        return try await withProcess(try pathOfThisProgram(), arguments, log: cluster.log, body)
    }
}
