// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import HTTPEndpoint
import KlogLogging

struct DiagnosticsFlags: ParsableArguments {
    @Option(
        name: .customLong("http-endpoint"),
        "Address to serve metrics and health checks on, such as :8080. Empty: no HTTP server.",
        valueName: "address"
    )
    var httpEndpoint = ""

    @Option("Deprecated: use --http-endpoint. Only one of the two may be set.", valueName: "address")
    var metricsAddress = ""

    @Option("HTTP path of the metrics.", valueName: "path")
    var metricsPath = "/metrics"

    @Option(
        name: .customLong("v"),
        "Log verbosity: 0 what an operator acts on, 2 reports, 4 decisions, 5 calls to the CSI driver, 6 requests to the "
            + "API server.",
        valueName: "level"
    )
    var verbosity: Int32 = 0

    @Option("Log format: text or json.")
    var loggingFormat = KlogHandler.Format.text

    @Option("Print the version and exit.")
    var version = false

    /// nil: no HTTP server.
    ///
    /// - Throws: ``UsageError`` for an invalid address or path, and if both names of the address are set.
    func endpoint() throws(UsageError) -> DiagnosticsEndpoint.Configuration? {
        guard httpEndpoint.isEmpty || metricsAddress.isEmpty else {
            throw UsageError(message: "only one of --metrics-address and --http-endpoint may be set")
        }
        let name = httpEndpoint.isEmpty ? "--metrics-address" : "--http-endpoint"
        let text = httpEndpoint.isEmpty ? metricsAddress : httpEndpoint
        guard !text.isEmpty else { return nil }
        guard metricsPath.hasPrefix("/") else {
            throw UsageError(message: "--metrics-path must begin with a slash, as in /metrics")
        }
        do {
            return .init(address: try ListenAddress(parsing: text), metricsPath: metricsPath)
        } catch {
            throw UsageError(message: "\(name): \(error.message)")
        }
    }

    /// klog's `--v`.
    ///
    /// - Throws: ``UsageError`` if it is negative.
    func checkedVerbosity() throws(UsageError) -> Int {
        guard verbosity >= 0 else { throw UsageError(message: "--v must not be negative; 0 logs the least") }
        return Int(verbosity)
    }
}
