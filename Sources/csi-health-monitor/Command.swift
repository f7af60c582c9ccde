// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import CBuildSettings
import Flags
import Glibc
import KubernetesClient

/// The program: reads its arguments, runs the command, and says in one line why it could not.
@main
enum Program {
    static let version = "0.1.0"
    /// The commit: `unknown` where the build did not set CSI_HEALTH_MONITOR_REVISION, which scripts/build.sh does.
    // Safe: a string literal of C.
    static let revision = unsafe String(cString: cbuildsettings_revision())

    /// Of the compiler that built this, as far as the language can say it.
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
        Allocator.keepLittle()
        // A peer that has gone is an error of the write to it, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parse(Array(CommandLine.arguments.dropFirst()))
            try await command.run()
        } catch {
            exit(with: error)
        }
    }

    /// Reads arguments. The command may be left out: external-health-monitor has none, and `controller` takes its place.
    static func parse(_ arguments: [String]) throws -> any AsyncParsableCommand {
        let isNamed = [ControllerCommand.name, DoctorCommand.name].contains(arguments.first)
        let flags = isNamed ? Array(arguments.dropFirst()) : arguments
        let normalized = try GoArguments.normalized(flags, booleans: ControllerFlags.booleans)
        if arguments.first == DoctorCommand.name { return try DoctorCommand.parse(normalized) }
        return try ControllerCommand.parse(normalized)
    }

    /// Help goes to standard output and is a success; all else is one line on standard error, which is the container's
    /// termination message too, and a failure.
    private static func exit(with error: any Error) -> Never {
        // It may run in the container of a controller that works: the termination message is not its own.
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

/// Monitors the volumes of one driver.
struct ControllerCommand: AsyncParsableCommand {
    static let name = "controller"

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: "Reports abnormal CSI volumes as events and status of their PersistentVolumeClaims.",
        usage: "csi-health-monitor [controller | doctor] [--flag=value ...]",
        discussion: """
            Runs beside a CSI controller plugin. Replaces external-health-monitor with the same flags, in Go's syntax: \
            -flag and --flag are alike, a value follows after = or as the next argument, durations are written 1m30s.
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

/// Checks what the controller needs.
struct DoctorCommand: AsyncParsableCommand {
    static let name = "doctor"

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract:
            "Checks the driver, the API server and the permissions that the controller needs, and changes nothing.",
        usage: "csi-health-monitor doctor [--flag=value ...]",
        discussion: "Takes the controller's flags. Exits with 0 when no check failed, and with 1 otherwise."
    )

    @OptionGroup var flags: ControllerFlags

    func run() async throws {
        let names = KubernetesConfiguration.variables + ["POD_NAMESPACE", "NODE_NAME"]
        let report = await Doctor(options: try ControllerOptions(flags), environment: Self.environment(names)).run()
        print(report.text, terminator: "")
        guard report.exitCode == 0 else { throw ExitCode(report.exitCode) }
    }

    /// Those of the variables that are set and not empty.
    private static func environment(_ names: [String]) -> [String: String] {
        var variables: [String: String] = [:]
        for name in names {
            // getenv(3): the environment of this process is never changed.
            guard let value = unsafe getenv(name) else { continue }
            variables[name] = unsafe String(cString: value)
        }
        return variables.filter { !$0.value.isEmpty }
    }
}
