// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Flags
import KubernetesClient
import VolumeStatus

/// The `status` command, which is also the kubectl plugin `kubectl volume-health`.
struct StatusCommand: ProgramCommand {
    static let name = "status"
    static let summary = "Lists the PersistentVolumeClaims whose volumes are unhealthy, or explains one claim."
    static let booleans: Set<String> = []
    static let isService = false
    static let failureCode: Int32 = 2
    /// The file name by which kubectl finds the plugin `volume-health`: a program of this name is `status`.
    static let pluginName = "kubectl-volume_health"

    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: summary,
        usage: """
            csi-health-monitor status [explain CLAIM] [flags]
            kubectl volume-health [explain CLAIM] [flags]
            """,
        discussion: """
            Reads the status and the conditions of claims, and the events on claims and pods. Needs the right to list \
            claims; what else may not be listed is left out, with a note. Changes nothing.

            Exit codes: 0 success, 1 a claim is listed (only with --exit-code), 2 error.
            """
    )

    /// kubectl's syntax, which ArgumentParser has already.
    static func normalized(_ arguments: [String]) -> [String] { arguments }

    @Argument(help: ArgumentHelp("What happened to one claim, in the order of time.", valueName: "explain CLAIM"))
    var words: [String] = []

    @OptionGroup var flags: StatusFlags

    /// The claim to explain; nil to list claims.
    var explainedClaim: String? { words.count == 2 ? words[1] : nil }

    func validate() throws {
        guard words.isEmpty || words.count == 2 && words[0] == "explain" else {
            throw ValidationError("unexpected argument \"\(words[0])\": write explain CLAIM, or only flags")
        }
        guard explainedClaim != nil else { return }
        if flags.allNamespaces || flags.selector != nil || flags.driver != nil || flags.output != nil || flags.watch
            || flags.exitCode
        {
            throw ValidationError("explain takes only --namespace, --kubeconfig, --context and --request-timeout")
        }
    }

    func run() async throws {
        let status = try StatusRun(
            flags,
            environment: ProcessEnvironment.variables(KubernetesConfiguration.userVariables),
            isColored: Terminal.isColored
        )
        let exitCode: Int32
        do {
            exitCode = try await status.run(explaining: explainedClaim, into: .process)
        } catch is StatusSink.Closed {
            // As in `status | head -1`: the reader has what it wants.
            exitCode = 0
        }
        guard exitCode == 0 else { throw ExitCode(exitCode) }
    }
}
