// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// Makes the calls of a check in order, and records them.
struct DriverRecorder: Sendable {
    let calls: DriverCalls
    let options: CheckOptions
    /// Sent as a volume's id and as the last component of a path that do not exist.
    let unknownName: String

    /// The most listed volumes for which single calls are made; those of --volume-id are in addition.
    static let sampledVolumes = 20
    static let parallelCalls = 10
    /// The time for the calls of one kind, in timeouts of one call.
    static let timeouts = 4

    /// A controller's service, with lists.
    func record(
        _ generation: Generation,
        _ capabilities: Capabilities,
        volumeIDs: [String]
    ) async -> ServiceRecording {
        var recording = ServiceRecording(generation: generation)
        if capabilities.lists(generation) {
            recording.fullLists.append(await list(generation, maxEntries: 0))
            if recording.fullLists[0].end != .failed {
                for maxEntries in [1, 2] as [Int32] where !Task.isCancelled {
                    recording.pagedLists.append(await list(generation, maxEntries: maxEntries))
                }
                recording.invalidToken = await calls.list(generation, maxEntries: 0, startingToken: unknownName)
            }
        }
        let ids = volumeIDs + sample(of: recording.fullLists, besides: volumeIDs)
        if capabilities.gets(generation) {
            await get(ids, into: &recording) { await calls.get(generation, id: $0) }
        }
        if recording.fullLists.first?.isComplete == true, !Task.isCancelled {
            recording.fullLists.append(await list(generation, maxEntries: 0))
        }
        if capabilities.gets(generation) {
            await getAgain(&recording) { await calls.get(generation, id: $0) }
            recording.unknownID = await calls.get(generation, id: unknownName)
            recording.emptyID = await calls.get(generation, id: "")
            await getInParallel(&recording) { await calls.get(generation, id: $0) }
        }
        return recording
    }

    /// A node's service.
    func recordNode(_ generation: Generation) async -> ServiceRecording {
        var recording = ServiceRecording(generation: generation)
        let (path, staging) = (options.volumePath, options.stagingPath)
        let get = { @Sendable (id: String) in
            await calls.nodeGet(generation, id: id, publishPath: path, stagingPath: staging)
        }
        let missingPath = "/" + unknownName
        // NodeGetVolumeStats requires a path.
        let hasPath = generation == .health || !path.isEmpty
        if hasPath {
            await self.get(options.volumeIDs, into: &recording, get)
            await getAgain(&recording, get)
            await getInParallel(&recording, get)
        }
        let anyPath = path.isEmpty && generation == .legacy ? missingPath : path
        recording.unknownID = await calls.nodeGet(
            generation,
            id: unknownName,
            publishPath: anyPath,
            stagingPath: staging
        )
        recording.emptyID = await calls.nodeGet(generation, id: "", publishPath: anyPath, stagingPath: staging)
        guard let id = options.volumeIDs.first, !Task.isCancelled else { return recording }
        switch generation {
        case .legacy:
            recording.emptyPath = await calls.nodeGet(.legacy, id: id, publishPath: "", stagingPath: staging)
            recording.unknownPath = await calls.nodeGet(.legacy, id: id, publishPath: missingPath, stagingPath: staging)
        case .health:
            recording.withoutPaths = await calls.nodeGet(.health, id: id, publishPath: "", stagingPath: "")
        }
        return recording
    }

    // MARK: Lists

    private func list(_ generation: Generation, maxEntries: Int32) async -> ListRecording {
        var pages: [Exchange<ListPage>] = []
        var tokens: Set<String> = []
        var ids: Set<String> = []
        var withoutNewVolume = 0
        var token = ""
        var mayStartOver = true
        var budget = CallBudget(options.timeout, calls: maxEntries == 0 ? ListBounds.timeouts : Self.timeouts)
        func ended(_ end: ListRecording.End) -> ListRecording {
            ListRecording(maxEntries: maxEntries, pages: pages, end: end)
        }
        let limit = maxEntries == 0 ? ListBounds.pages : ListBounds.pagedPages
        while !Task.isCancelled {
            let exchange = await calls.list(generation, maxEntries: maxEntries, startingToken: token)
            budget.spend(exchange.duration)
            if exchange.failure?.code == .aborted, !token.isEmpty, mayStartOver {
                // The token is not valid any more: the list starts again (CSI specification, ListVolumes Errors).
                mayStartOver = false
                (pages, tokens, ids, withoutNewVolume, token) = ([], [], [], 0, "")
                continue
            }
            pages.append(exchange)
            guard let page = exchange.reply else { return ended(.failed) }
            let known = ids.count
            ids.formUnion(page.volumes.map(\.id))
            withoutNewVolume = ids.count == known ? withoutNewVolume + 1 : 0
            guard !page.nextToken.isEmpty else { return ended(.complete) }
            guard tokens.insert(page.nextToken).inserted else { return ended(.repeatedToken(page.nextToken)) }
            guard withoutNewVolume < ListBounds.pagesWithoutNewVolume else { return ended(.endless) }
            guard pages.count < limit else { return ended(maxEntries == 0 ? .endless : .stopped) }
            guard !budget.isSpent else { return ended(.stopped) }
            token = page.nextToken
        }
        return ended(.failed)
    }

    /// Unhealthy volumes first: they show more.
    private func sample(of lists: [ListRecording], besides ids: [String]) -> [String] {
        var seen = Set(ids)
        let listed = lists.flatMap(\.volumes).filter { !$0.id.isEmpty && seen.insert($0.id).inserted }
        let unhealthy = listed.filter { $0.health.map(HealthFacts.init) != .healthy }
        let healthy = listed.filter { $0.health.map(HealthFacts.init) == .healthy }
        return (unhealthy + healthy).prefix(Self.sampledVolumes).map(\.id)
    }

    // MARK: Single volumes

    /// Stops after a call without a response, and when calls are slow: the others would take as long.
    private func get(
        _ ids: [String],
        into recording: inout ServiceRecording,
        _ call: (String) async -> Exchange<GetReply>
    ) async {
        var budget = CallBudget(options.timeout, calls: Self.timeouts)
        for id in ids where !Task.isCancelled && !budget.isSpent {
            let exchange = await call(id)
            budget.spend(exchange.duration)
            recording.gets.append(GetRecording(id: id, first: exchange))
            guard exchange.failure?.code != .deadlineExceeded else { return }
        }
    }

    private func getAgain(
        _ recording: inout ServiceRecording,
        _ call: (String) async -> Exchange<GetReply>
    ) async {
        for index in recording.gets.indices where !Task.isCancelled {
            guard recording.gets[index].first.failure?.code != .deadlineExceeded else { continue }
            recording.gets[index].second = await call(recording.gets[index].id)
        }
    }

    private func getInParallel(
        _ recording: inout ServiceRecording,
        _ call: @escaping @Sendable (String) async -> Exchange<GetReply>
    ) async {
        let ids = recording.gets.filter { $0.first.reply != nil }.map(\.id)
        guard !ids.isEmpty, !Task.isCancelled else { return }
        let calls = await withTaskGroup(of: GetRecording.self) { group in
            for number in 0..<Self.parallelCalls {
                let id = ids[number % ids.count]
                group.addTask { GetRecording(id: id, first: await call(id)) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        recording.parallel = (calls, ids.count < Self.parallelCalls)
    }
}
