// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// Flags of external-health-monitor that are parsed, so that an invalid value is an error, and otherwise ignored.
protocol IgnoredFlags: ParsableArguments {
    /// Each flag with its value.
    var texts: [(name: String, text: String)] { get }
}

extension IgnoredFlags {
    /// The names of the flags whose value differs from the default. The user may expect an effect, so they are logged.
    var changed: [String] {
        guard let defaults = try? Self.parse([]) else { return [] }
        return zip(texts, defaults.texts).filter { $0.text != $1.text }.map(\.0.name)
    }
}

/// The ignored flags that the controller and the agent of external-health-monitor have in common.
struct CompatibilityFlags: IgnoredFlags {
    @Option("Ignored: watches need no resync.")
    var resync = GoDuration.minutes(10)

    @Option("Ignored: the number of threads does not depend on the CPU limit.")
    var automaxprocs = false

    @Option("Ignored: --v applies to the whole program.")
    var vmodule = VModule()

    @Option("Ignored: logs are not buffered.")
    var logFlushFrequency = GoDuration.seconds(5)

    @Option("Ignored: logs go to standard error.")
    var logTextSplitStream = false

    @Option("Ignored: logs are not buffered.")
    var logTextInfoBufferSize = ByteQuantity()

    @Option(name: .customLong("log-json-split-stream"), "Ignored: logs go to standard error.")
    var logJSONSplitStream = false

    @Option(name: .customLong("log-json-info-buffer-size"), "Ignored: logs are not buffered.")
    var logJSONInfoBufferSize = ByteQuantity()

    var texts: [(name: String, text: String)] {
        [
            ("resync", resync.flagText),
            ("automaxprocs", automaxprocs.flagText),
            ("vmodule", vmodule.flagText),
            ("log-flush-frequency", logFlushFrequency.flagText),
            ("log-text-split-stream", logTextSplitStream.flagText),
            ("log-text-info-buffer-size", logTextInfoBufferSize.flagText),
            ("log-json-split-stream", logJSONSplitStream.flagText),
            ("log-json-info-buffer-size", logJSONInfoBufferSize.flagText),
        ]
    }
}
