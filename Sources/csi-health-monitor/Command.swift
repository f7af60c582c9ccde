// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Flags
import Glibc
import HealthCore
import KubernetesClient

/// Parses the arguments, runs the command, and reports a failure in one line.
@main
enum Program {
    static func main() async {
        Allocator.returnFreeMemory()
        // Writing to a closed connection fails with EPIPE instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parse(arguments)
            try await command.run()
        } catch {
            exit(with: error)
        }
    }

    /// The arguments after the program's name. As kubectl's plugin the program is the command `status`.
    private static var arguments: [String] {
        let arguments = CommandLine.arguments
        let name = arguments.first?.split(separator: "/").last ?? ""
        return (name == StatusCommand.pluginName ? [StatusCommand.name] : []) + arguments.dropFirst()
    }

    /// The commands. Without a name it is the first: external-health-monitor has no commands.
    private static let commands: [any ProgramCommand.Type] = [
        ControllerCommand.self, AgentCommand.self, DoctorCommand.self, StatusCommand.self, CheckCommand.self,
    ]

    /// The commands and what they do, for the help.
    static var commandList: String {
        commands.map { "\($0.name): \($0.summary)" }.joined(separator: "\n")
    }

    private static func command(named name: String?) -> any ProgramCommand.Type {
        commands.first { $0.name == name } ?? ControllerCommand.self
    }

    /// Parses arguments.
    static func parse(_ arguments: [String]) throws -> any AsyncParsableCommand {
        let command = command(named: arguments.first)
        let flags = command.name == arguments.first ? Array(arguments.dropFirst()) : arguments
        return try command.parse(command.normalized(flags))
    }

    /// Prints help to standard output and exits with 0. Prints any other error as one line to standard error, writes it
    /// as the container's termination message if the command is a service, and exits with 1.
    private static func exit(with error: any Error) -> Never {
        let command = command(named: arguments.first)
        if let code = error as? ExitCode { Glibc.exit(code.rawValue) }
        // On one line, whatever a driver, a server or a tenant has put into it.
        let message = printable(command.message(for: error))
        guard command.exitCode(for: error) != .success else {
            print(command.fullMessage(for: error))
            Glibc.exit(EXIT_SUCCESS)
        }
        let line = Array("csi-health-monitor: \(message)\n".utf8)
        // Safe: the buffer is only read, and only during the call.
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        if command.isService { TerminationMessage.write(message) }
        Glibc.exit(command.failureCode)
    }
}

/// A command of the program.
protocol ProgramCommand: AsyncParsableCommand {
    static var name: String { get }
    /// One line for the help.
    static var summary: String { get }
    /// The names of its flags that need no value, if its flags have Go's syntax.
    static var booleans: Set<String> { get }
    /// Whether it is the process of a container. Other commands may run in the container of a service, whose
    /// termination message is not theirs to write.
    static var isService: Bool { get }
    /// The exit code after an error.
    static var failureCode: Int32 { get }

    /// The arguments in the syntax of ArgumentParser.
    static func normalized(_ arguments: [String]) throws -> [String]
}

extension ProgramCommand {
    static var failureCode: Int32 { EXIT_FAILURE }

    static func normalized(_ arguments: [String]) throws -> [String] {
        try GoArguments.normalized(arguments, booleans: booleans)
    }
}

struct ControllerCommand: ProgramCommand {
    static let name = "controller"
    static let summary = "Reports abnormal CSI volumes as events on their PersistentVolumeClaims and in their status."
    static let booleans = ControllerFlags.booleans
    static let isService = true

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: summary,
        usage: "csi-health-monitor [COMMAND] [--flag=value ...]",
        discussion: """
            Runs as a sidecar of a CSI controller plugin, in place of external-health-monitor and with its flags. Flags \
            have Go's syntax: -flag or --flag, -flag=value or -flag value, durations such as 1m30s.

            Commands, each with its own --help; without one it is controller:

            \(Program.commandList)
            """
    )

    @OptionGroup var flags: ControllerFlags

    func run() async throws {
        if flags.version {
            print(Program.versionLine)
            return
        }
        try await Controller.run(try ControllerOptions(flags))
    }
}

struct AgentCommand: ProgramCommand {
    static let name = "agent"
    static let summary = "Reports abnormal CSI volumes of a node as events on the pods that use them."
    static let booleans = AgentFlags.booleans
    static let isService = true

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: summary,
        usage: "csi-health-monitor agent [--flag=value ...]",
        discussion: """
            Runs on each node: once for all CSI drivers of the node (--all-drivers), or as a sidecar of one CSI node \
            plugin. Requires the environment variable NODE_NAME. Has the flags of external-health-monitor's agent.
            """
    )

    @OptionGroup var flags: AgentFlags

    func run() async throws {
        if flags.version {
            print(Program.versionLine)
            return
        }
        try await Agent.run(try AgentOptions(flags, nodeName: ProcessEnvironment.variable("NODE_NAME")))
    }
}

struct DoctorCommand: ProgramCommand {
    static let name = "doctor"
    static let summary =
        "Checks the CSI driver, the API server and the RBAC permissions of the controller. Changes nothing."
    static let booleans = ControllerFlags.booleans
    static let isService = false

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: summary,
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
