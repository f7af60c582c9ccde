// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CSISpec
import Foundation
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
        in cluster: SimulatedCluster,
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        // proc(5): this very program, wherever it is.
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return try await withProcess(program, ["bare-sweep", "--csi-address", cluster.socket], log: cluster.log, body)
    }
}
