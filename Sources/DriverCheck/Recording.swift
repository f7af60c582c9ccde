// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The versions of the health API.
package enum Generation: String, Sendable, Hashable, CaseIterable {
    /// VolumeCondition, CSI 1.3 to 1.12.
    case legacy
    /// VolumeHealth, CSI 1.13 and later.
    case health
}

/// All pages of one list.
package struct ListRecording: Sendable {
    package enum End: Sendable, Hashable {
        /// The last page has no next_token.
        case complete
        /// The last call failed.
        case failed
        case repeatedToken(String)
        /// Many pages in a row had no volume that was not on an earlier page.
        case endless
        /// There are more pages than are requested.
        case stopped
    }

    /// 0 for no maximum.
    package var maxEntries: Int32
    package var pages: [Exchange<ListPage>]
    package var end: End

    package init(maxEntries: Int32, pages: [Exchange<ListPage>], end: End) {
        self.maxEntries = maxEntries
        self.pages = pages
        self.end = end
    }

    var volumes: [VolumeReply] { pages.flatMap { $0.reply?.volumes ?? [] } }
    var ids: [String] { volumes.map(\.id).filter { !$0.isEmpty } }
    var isComplete: Bool { end == .complete }
    var unhealthyIDs: [String] { volumes.filter { $0.health.map(HealthFacts.init) != .healthy }.map(\.id) }
}

/// A call for a volume, or two with other calls in between.
package struct GetRecording: Sendable {
    package var id: String
    package var first: Exchange<GetReply>
    package var second: Exchange<GetReply>?

    package init(id: String, first: Exchange<GetReply>, second: Exchange<GetReply>? = nil) {
        self.id = id
        self.first = first
        self.second = second
    }

    var exchanges: [Exchange<GetReply>] { [first, second].compactMap(\.self) }
}

/// The calls of one generation of the health API, of the controller or the node service.
package struct ServiceRecording: Sendable {
    package var generation: Generation
    /// Lists without a maximum, before and after the first calls for single volumes.
    package var fullLists: [ListRecording] = []
    /// Lists with a maximum.
    package var pagedLists: [ListRecording] = []
    package var invalidToken: Exchange<ListPage>?
    package var gets: [GetRecording] = []
    package var unknownID: Exchange<GetReply>?
    package var emptyID: Exchange<GetReply>?
    /// Calls that were in flight together. `sameVolume`: some were for the same volume.
    package var parallel: (calls: [GetRecording], sameVolume: Bool) = ([], false)
    /// NodeGetVolumeStats without a path, and with a path that does not exist.
    package var emptyPath: Exchange<GetReply>?
    package var unknownPath: Exchange<GetReply>?
    /// NodeGetVolumeHealth without paths.
    package var withoutPaths: Exchange<GetReply>?

    package init(generation: Generation) {
        self.generation = generation
    }
}

/// The volume that --create-volume creates.
package struct CreatedVolumeRecording: Sendable {
    package var creation: Exchange<String>
    /// Whether the following lists must have the volume.
    package var isListed: Bool?
    package var getAfterDeletion: Exchange<GetReply>?
    package var deletion: Exchange<Bool>?
    package var secondDeletion: Exchange<Bool>?

    package init(creation: Exchange<String>) {
        self.creation = creation
    }
}

/// All calls of a check.
package struct DriverRecording: Sendable {
    package var info: Exchange<PluginInfo>
    /// By number in the specification.
    package var capabilities: Exchange<[Int]>
    package var services: [ServiceRecording] = []
    package var storageHealth: Exchange<[HealthEntry]>?
    package var created: CreatedVolumeRecording?
    /// Whether a volume was to be created, which the driver does not announce.
    package var lacksCreation = false

    package init(info: Exchange<PluginInfo>, capabilities: Exchange<[Int]>) {
        self.info = info
        self.capabilities = capabilities
    }
}
