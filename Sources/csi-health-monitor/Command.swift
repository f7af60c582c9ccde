// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CBuildSettings
import Flags
import Glibc
import KubernetesClient

/// Parses the arguments, runs the command, and reports a failure in one line.
@main
enum Program {
    static let version = "0.1.0"
    /// The commit. scripts/build.sh sets it by CSI_HEALTH_MONITOR_REVISION; `unknown` in other builds.
    // Safe: a string literal of C.
    static let revision = unsafe String(cString: cbuildsettings_revision())

    /// The compiler's version, as far as conditional compilation shows it.
    static var swiftVersion: String {
        #if compiler(>=6.4)
        "6.4 or later"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }

    static func main() async {
        Allocator.returnFreeMemory()
        // Writing to a closed connection fails with EPIPE instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parse(Array(CommandLine.arguments.dropFirst()))
            try await command.run()
        } catch {
            exit(with: error)
        }
    }

    /// Parses arguments. Without a command it is `controller`: external-health-monitor has no commands.
    static func parse(_ arguments: [String]) throws -> any AsyncParsableCommand {
        let isNamed = [ControllerCommand.name, DoctorCommand.name].contains(arguments.first)
        let flags = isNamed ? Array(arguments.dropFirst()) : arguments
        let normalized = try GoArguments.normalized(flags, booleans: ControllerFlags.booleans)
        if arguments.first == DoctorCommand.name { return try DoctorCommand.parse(normalized) }
        return try ControllerCommand.parse(normalized)
    }

    /// Prints help to standard output and exits with 0. Prints any other error as one line to standard error, writes it
    /// as the container's termination message, and exits with 1.
    private static func exit(with error: any Error) -> Never {
        // Doctor may run in the container of a running controller, whose termination message is not doctor's to write.
        let isDoctor = CommandLine.arguments.dropFirst().first == DoctorCommand.name
        let command: any AsyncParsableCommand.Type = isDoctor ? DoctorCommand.self : ControllerCommand.self
        if let code = error as? ExitCode { Glibc.exit(code.rawValue) }
        let message = command.message(for: error)
        guard command.exitCode(for: error) != .success else {
            print(command.fullMessage(for: error))
            Glibc.exit(EXIT_SUCCESS)
        }
        let line = Array("csi-health-monitor: \(message)\n".utf8)
        // Safe: the buffer is only read, and only during the call.
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        if !isDoctor { TerminationMessage.write(message) }
        Glibc.exit(EXIT_FAILURE)
    }
}

struct ControllerCommand: AsyncParsableCommand {
    static let name = "controller"

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: "Reports abnormal CSI volumes as events on their PersistentVolumeClaims and in their status.",
        usage: "csi-health-monitor [controller | doctor] [--flag=value ...]",
        discussion: """
            Runs as a sidecar of a CSI controller plugin, in place of external-health-monitor and with its flags. Flags have \
            Go's syntax: -flag or --flag, -flag=value or -flag value, durations such as 1m30s.
            """
    )

    @OptionGroup var flags: ControllerFlags

    func run() async throws {
        if flags.version {
            print("csi-health-monitor \(Program.version)")
            return
        }
        try await Controller.run(try ControllerOptions(flags))
    }
}

struct DoctorCommand: AsyncParsableCommand {
    static let name = "doctor"

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: "Checks the CSI driver, the API server and the RBAC permissions of the controller. Changes nothing.",
        usage: "csi-health-monitor doctor [--flag=value ...]",
        discussion: "Takes the controller's flags. The exit code is 1 if a check failed, otherwise 0."
    )

    @OptionGroup var flags: ControllerFlags

    func run() async throws {
        let names = KubernetesConfiguration.variables + ["POD_NAMESPACE", "NODE_NAME"]
        let report = await Doctor(
            options: try ControllerOptions(flags),
            environment: ProcessEnvironment.variables(names)
        ).run()
        print(report.text, terminator: "")
        guard report.exitCode == 0 else { throw ExitCode(report.exitCode) }
    }
}
