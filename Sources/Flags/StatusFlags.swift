// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ArgumentParser

/// The flags of `status`, in kubectl's syntax.
package struct StatusFlags: ParsableArguments {
    package enum Output: String, Sendable, CaseIterable, ExpressibleByArgument {
        case wide
        case json
        case yaml
        case name
    }

    @Option(
        name: [.customShort("n", allowingJoined: true), .long],
        help: "Namespace of the claims. (default: the context's namespace)"
    )
    package var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Claims of all namespaces.")
    package var allNamespaces = false

    @Option(
        name: [.customShort("l", allowingJoined: true), .long],
        help: ArgumentHelp("Only claims with these labels: KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY, !KEY.")
    )
    package var selector: String?

    @Option(help: ArgumentHelp("Only claims of this CSI driver.", valueName: "name"))
    package var driver: String?

    @Option(
        name: [.customShort("o", allowingJoined: true), .long],
        help: ArgumentHelp("Output format instead of the table.", valueName: "format")
    )
    package var output: Output?

    @Flag(name: .shortAndLong, help: "Print each change after the table, until interrupted.")
    package var watch = false

    @Flag(help: "Print the table without its header.")
    package var noHeaders = false

    @Flag(help: "Exit with 1 if a claim is listed: its volume is unhealthy, or its health is unknown.")
    package var exitCode = false

    @Option(help: ArgumentHelp("Path of the kubeconfig file. (default: as kubectl)", valueName: "path"))
    package var kubeconfig: String?

    @Option(help: ArgumentHelp("Context of the kubeconfig. (default: the current context)", valueName: "name"))
    package var context: String?

    @Option(
        help: ArgumentHelp(
            "Timeout of each request to the API server, such as 5s. 0: no timeout. (default: 60s; to connect, 30s)",
            valueName: "duration"
        ),
        transform: Self.timeout
    )
    package var requestTimeout: Duration?

    package init() {}

    /// As kubectl's: a duration of Go, or seconds without a unit (client-go's clientcmd.ParseTimeout). A day at most,
    /// also for no timeout.
    private static func timeout(_ text: String) throws -> Duration {
        let text = Int(text) == nil ? text : text + "s"
        guard let duration = GoDuration(parsing: text)?.duration, duration >= .zero else {
            throw ValidationError("write a duration such as 5s, 2m or 1h")
        }
        let day = Duration.seconds(86_400)
        return duration == .zero ? day : min(duration, day)
    }

    package func validate() throws {
        if allNamespaces, namespace != nil {
            throw ValidationError("--namespace and --all-namespaces exclude each other")
        }
        if watch, exitCode { throw ValidationError("--exit-code has no effect with --watch: omit one of them") }
    }
}
