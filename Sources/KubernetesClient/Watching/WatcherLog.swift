// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import Logging

/// Reports a watcher's troubles once: a failure that repeats itself is not news.
struct WatcherLog {
    private struct Trouble: Equatable {
        var code: KubernetesError.Code
        var httpStatus: Int?
    }

    private let logger: Logger
    private var current: Trouble?

    init(logger: Logger, resource: Resource) {
        var logger = logger
        logger[metadataKey: "resource"] = "\(resource.plural)"
        self.logger = logger
    }

    /// A list or a watch failed. That a version has expired is part of a watch's life.
    mutating func failed(_ error: KubernetesError) {
        let trouble = Trouble(code: error.code, httpStatus: error.httpStatus)
        let isNews = current != trouble && error.code != .expired
        logger.log(level: isNews ? .warning : .debug, "Watch failed", metadata: ["err": "\(error)"])
        if error.code != .expired { current = trouble }
    }

    func lacksStreamingLists(_ error: KubernetesError) {
        logger.debug("The server does not stream this list, listing in pages", metadata: ["err": "\(error)"])
    }

    func listsWithoutPages() {
        logger.debug("Page tokens expired before the list was complete, listing without a limit")
    }

    /// A watch is open.
    mutating func recovered() {
        if current != nil { logger.notice("Watch recovered") }
        current = nil
    }

    func versionWentBack(to resourceVersion: String) {
        logger.warning(
            "The server's resourceVersion went back, listing again",
            metadata: ["resourceVersion": "\(resourceVersion)"]
        )
    }
}
