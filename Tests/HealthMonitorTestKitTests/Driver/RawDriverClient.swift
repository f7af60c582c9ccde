// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit

/// A gRPC client for a driver that sends and returns bytes, without CSI's messages.
struct RawDriverClient: Sendable {
    let channel: GRPCChannel

    func call(
        _ method: String,
        _ request: [UInt8] = [],
        timeout: Duration = .seconds(3600)
    ) async throws -> [UInt8] {
        try await channel.unary("/csi.v1." + method, request: request, timeout: timeout)
    }

    /// The status code of a call.
    func code(
        _ method: String,
        _ request: [UInt8] = [],
        timeout: Duration = .seconds(3600)
    ) async -> GRPCStatus.Code {
        do throws(GRPCError) {
            _ = try await channel.unary("/csi.v1." + method, request: request, timeout: timeout)
            return .ok
        } catch {
            return error.status.code
        }
    }
}

/// Runs a driver and a client for as long as `body` runs.
func withRawClient(
    _ configuration: SimulatedDriver.Configuration = .init(),
    _ body: (SimulatedDriver, RawDriverClient) async throws -> Void
) async throws {
    let driver = SimulatedDriver(socket: "/tmp/kit-\(UUID().uuidString.prefix(13)).sock", configuration: configuration)
    try driver.start()
    let channel = try GRPCChannel(target: driver.socket)
    do {
        try await body(driver, RawDriverClient(channel: channel))
    } catch {
        await channel.shutdown()
        await driver.stop()
        throw error
    }
    await channel.shutdown()
    await driver.stop()
}

/// A text as a length-delimited field's content; for texts of less than 128 bytes.
func counted(_ text: String) -> [UInt8] {
    [UInt8(text.utf8.count)] + text.utf8
}
