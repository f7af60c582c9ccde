// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import DriverCheck
import Foundation
import HealthMonitorTestKit

/// A driver without deviations.
enum Conforming: String, CaseIterable, Sendable {
    case legacyController
    case healthController
    case legacyNode
    case healthNode

    var side: Check.Side {
        switch self {
        case .legacyController, .healthController: .controller
        case .legacyNode, .healthNode: .node
        }
    }

    var configuration: SimulatedDriver.Configuration {
        var configuration: SimulatedDriver.Configuration =
            switch self {
            case .legacyController: SimulatedDriver.Configuration.legacy
            case .healthController: SimulatedDriver.Configuration.health
            case .legacyNode: SimulatedDriver.Configuration.legacyNode
            case .healthNode: SimulatedDriver.Configuration.healthNode
            }
        configuration.controllerCapabilities?.append(1)
        configuration.pathCheck = .exists
        return configuration
    }

    static let controllers: [Conforming] = [.legacyController, .healthController]
    static let nodes: [Conforming] = [.legacyNode, .healthNode]
}

/// Six volumes, of which four are unhealthy in the ways of both generations.
let volumes: [SimulatedVolume] = (1...6).map { number in
    var volume = SimulatedVolume(id: "volume-\(number)")
    guard number > 2 else { return volume }
    volume.condition = .abnormal("block \(number) cannot be read")
    volume.nodeCondition = volume.condition
    volume.health = [
        .init(status: 1, reason: "SlowIO", message: "latency above 1s"),
        .init(status: 2, reason: "BackendUnreachable"),
    ]
    volume.nodeHealth = volume.health
    return volume
}

/// Runs a driver for as long as `body` runs.
func withDriver<R>(
    _ configuration: SimulatedDriver.Configuration,
    volumes: [SimulatedVolume] = volumes,
    _ body: (SimulatedDriver) async throws -> R
) async throws -> R {
    let driver = SimulatedDriver(
        socket: "/tmp/csi-\(UUID().uuidString.prefix(13)).sock",
        configuration: configuration
    )
    driver.volumes = volumes
    try driver.start()
    let result: Result<R, any Error>
    do {
        result = .success(try await body(driver))
    } catch {
        result = .failure(error)
    }
    await driver.stop()
    return try result.get()
}

/// Checks a driver, of the node side for the volumes `volume-3` and `volume-4` at a path that exists.
func check(
    _ driver: SimulatedDriver,
    _ side: Check.Side,
    timeout: Duration = .seconds(3600),
    _ change: (inout CheckOptions) -> Void = { _ in },
    until interrupted: @escaping @Sendable () async -> Void = { await untilCancelled() }
) async throws -> CheckReport {
    var options = CheckOptions(address: driver.socket, side: side, timeout: timeout)
    if side == .node {
        options.volumeIDs = ["volume-3", "volume-4"]
        options.volumePath = "/tmp"
    }
    options.deletionDelay = .zero
    change(&options)
    return try await DriverCheck(options, suffix: "test").run(until: interrupted)
}

extension CheckReport {
    /// The ids of the checks that found something.
    var found: [String] { results.filter(\.deviates).map(\.check.rawValue) }

    func outcome(_ check: Check) -> CheckResult.Outcome? { results.first { $0.check == check }?.outcome }
}
