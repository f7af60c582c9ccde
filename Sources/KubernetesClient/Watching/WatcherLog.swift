// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import Logging

/// Logs a watcher's failures: each once at the warning level, repeated ones at the debug level.
struct WatcherLog {
    private struct Failure: Equatable {
        var code: KubernetesError.Code
        var httpStatus: Int?
    }

    private let logger: Logger
    private var last: Failure?

    init(logger: Logger, resource: Resource) {
        var logger = logger
        logger[metadataKey: "resource"] = "\(resource.plural)"
        self.logger = logger
    }

    /// A list or a watch failed. An expired version is part of normal operation.
    mutating func failed(_ error: KubernetesError) {
        let failure = Failure(code: error.code, httpStatus: error.httpStatus)
        let isNew = last != failure && error.code != .expired
        logger.log(level: isNew ? .warning : .debug, "Failed to watch, retrying", metadata: ["err": "\(error)"])
        if error.code != .expired { last = failure }
    }

    func rejectedStreamingList(_ error: KubernetesError) {
        logger.debug("Failed to stream list, listing in pages", metadata: ["err": "\(error)"])
    }

    func listingWithoutPages() {
        logger.debug("Continue tokens expired before the list was complete, listing without a limit")
    }

    /// A watch is open.
    mutating func recovered() {
        if last != nil { logger.notice("Watch recovered") }
        last = nil
    }

    func versionWentBackwards(to resourceVersion: String) {
        logger.warning(
            "Server's resourceVersion went backwards, listing again",
            metadata: ["resourceVersion": "\(resourceVersion)"]
        )
    }
}
