// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension Findings {
    mutating func examine(_ service: ServiceRecording, side: Check.Side) {
        examineLists(service)
        for get in service.gets {
            for exchange in get.exchanges { examineGet(exchange, id: get.id) }
            compareMessages(get)
            compareWithLists(get, service)
        }
        compareMessages(service.fullLists)
        if let unknown = service.unknownID { expect(.notFound, .unknownID, unknown) }
        if let empty = service.emptyID { expect(.invalidArgument, .emptyID, empty) }
        if let path = service.emptyPath { expect(.invalidArgument, .emptyPath, path) }
        if let path = service.unknownPath { examineUnknownPath(path) }
        if let exchange = service.withoutPaths { examineWithoutPaths(exchange) }
        examineParallel(service)
    }

    private mutating func examineGet(_ exchange: Exchange<GetReply>, id: String) {
        // NOT_FOUND is compared with the lists. ABORTED: another client's operation for the volume is pending.
        examineCall(exchange, allowed: [.notFound, .aborted])
        guard let reply = exchange.reply else { return }
        let missing = reply.hasVolume ? "volume_condition" : "volume or volume_health"
        let isComplete = reply.hasVolume && reply.volume.health != nil
        examine(.requiredHealth, exchange, isComplete ? nil : "the response has no \(missing)")
        if reply.hasVolume {
            let problem = "the response is for volume \(excerpt(reply.volume.id)), requested was \(excerpt(id))"
            examine(.requestedID, exchange, reply.volume.id == id ? nil : problem)
        }
        examineHealth(reply.volume, exchange)
    }

    /// A call that must fail with `code`.
    mutating func expect<Reply>(_ code: GRPCStatus.Code, _ check: Check, _ exchange: Exchange<Reply>) {
        switch exchange.outcome {
        case .reply, .undecodable: examine(check, exchange, "OK instead of \(code)")
        case .failed(let status) where status.code == code: examine(check, exchange)
        case .failed where exchange.isInconclusive: break
        case .failed(let status):
            switch status.code {
            case .unimplemented: break
            case .deadlineExceeded: examineCall(exchange)
            default: examine(check, exchange, "\(status.code) instead of \(code)")
            }
        }
    }

    /// An abnormal condition says the same as NOT_FOUND.
    private mutating func examineUnknownPath(_ exchange: Exchange<GetReply>) {
        if case .condition(isAbnormal: true, _)? = exchange.reply?.volume.health {
            examine(.unknownPath, exchange)
        } else {
            expect(.notFound, .unknownPath, exchange)
        }
    }

    private mutating func examineWithoutPaths(_ exchange: Exchange<GetReply>) {
        if exchange.failure?.code == .invalidArgument {
            examine(.optionalPaths, exchange, "InvalidArgument, although the paths are optional")
        } else {
            examine(.optionalPaths, exchange)
            examineCall(exchange, allowed: [.notFound, .failedPrecondition, .aborted])
        }
    }

    // MARK: Agreement

    /// Compares the two calls for a volume with the lists before and after them. Only what both calls say and both
    /// lists agree on counts: any other difference may be a change of the volume's health.
    private mutating func compareWithLists(_ get: GetRecording, _ service: ServiceRecording) {
        guard let second = get.second, service.fullLists.count == 2, service.fullLists.allSatisfy(\.isComplete),
            let listed = service.fullLists[0].facts(of: get.id, service.generation),
            listed == service.fullLists[1].facts(of: get.id, service.generation)
        else { return }
        let facts = [get.first, second].map(HealthFacts.init)
        guard let fact = facts[0], fact == facts[1] else { return }
        // A list of health lacks healthy volumes, and those that do not exist.
        if fact == .notFound, !service.fullLists[0].ids.contains(get.id) { return }
        let problem = "volume \(excerpt(get.id)) is \(fact) by this call, and \(listed) in both lists around it"
        examine(.agreesWithList, second, fact == listed ? nil : problem)
    }

    // MARK: Concurrent calls

    private mutating func examineParallel(_ service: ServiceRecording) {
        let singles = service.gets.flatMap(\.exchanges)
        // Calls that fail alone too are other findings, and so are their wrong ids.
        guard singles.allSatisfy({ $0.failure == nil }) else { return }
        let haveIDs = service.gets.allSatisfy { get in get.exchanges.allSatisfy { $0.isFor(get.id) } }
        for call in service.parallel.calls {
            let exchange = call.first
            var problem: String?
            switch exchange.outcome {
            case .reply: if haveIDs, !exchange.isFor(call.id) { problem = "the response is for another volume" }
            case .undecodable(let text): problem = text
            case .failed(let status):
                // NOT_FOUND: the volume was deleted meanwhile.
                let isAllowed =
                    status.code == .notFound || status.code == .aborted && service.parallel.sameVolume
                if !isAllowed, !exchange.isInconclusive { problem = "\(status.code)" }
            }
            examine(
                .parallel,
                exchange,
                problem.map { "one of \(service.parallel.calls.count) concurrent calls: \($0)" }
            )
        }
    }
}

extension Exchange<GetReply> {
    /// Whether the response is for this volume, or for none.
    fileprivate func isFor(_ id: String) -> Bool {
        reply.map { !$0.hasVolume || $0.volume.id == id } ?? true
    }
}

/// What a response says about a volume's health, without its messages.
enum HealthFacts: Hashable, CustomStringConvertible {
    case healthy
    case abnormal
    case unhealthy(Set<String>)
    case notFound

    /// nil where it says nothing.
    init?(_ exchange: Exchange<GetReply>) {
        if exchange.failure?.code == .notFound {
            self = .notFound
        } else if let health = exchange.reply?.volume.health {
            self.init(health)
        } else {
            return nil
        }
    }

    init(_ health: VolumeReply.Health) {
        switch health {
        case .condition(let isAbnormal, _): self = isAbnormal ? .abnormal : .healthy
        case .statuses(let entries):
            self = entries.isEmpty ? .healthy : .unhealthy(Set(entries.map { "\($0.status) (\($0.reason))" }))
        }
    }

    var description: String {
        switch self {
        case .healthy: "healthy"
        case .abnormal: "abnormal"
        case .unhealthy(let pairs): singleLine(pairs.sorted().joined(separator: ", "), toBytes: 100)
        case .notFound: "not found"
        }
    }
}

extension ListRecording {
    /// nil where the list does not say: an entry without a condition, or a volume that is not in ListVolumes. A volume
    /// that is not in ControllerListVolumeHealth is healthy.
    func facts(of id: String, _ generation: Generation) -> HealthFacts? {
        let entries = volumes.filter { $0.id == id }
        switch generation {
        case .legacy: return entries.first?.health.map(HealthFacts.init)
        case .health:
            let statuses = entries.flatMap { entry -> [HealthEntry] in
                if case .statuses(let statuses)? = entry.health { statuses } else { [] }
            }
            return HealthFacts(.statuses(statuses))
        }
    }
}
