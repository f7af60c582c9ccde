// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension Findings {
    mutating func examineLists(_ service: ServiceRecording) {
        for list in service.fullLists + service.pagedLists {
            for page in list.pages { examineCall(page) }
            examineTokens(of: list)
        }
        for list in service.pagedLists {
            for page in list.pages {
                guard let count = page.reply?.volumes.count else { continue }
                examine(.maxEntries, page, count > list.maxEntries ? "the page has \(count) entries" : nil)
            }
        }
        let repeated = service.fullLists.repeatedIDs
        for list in service.fullLists { examineEntries(of: list, service.generation, repeated: repeated) }
        comparePages(service)
        compareOrder(service)
        if let exchange = service.invalidToken { expect(.aborted, .invalidToken, exchange) }
    }

    private mutating func examineTokens(of list: ListRecording) {
        guard let last = list.pages.last, list.end != .failed else { return }
        switch list.end {
        case .repeatedToken(let token):
            examine(.newToken, last, "next_token \(excerpt(token)) was on an earlier page already")
        case .endless:
            examine(
                .listEnds,
                last,
                "the last \(ListBounds.pagesWithoutNewVolume) pages had no volume that was not listed before"
            )
        case .complete, .stopped:
            examine(.newToken, last)
            if list.isComplete { examine(.listEnds, last) }
        case .failed: break
        }
    }

    /// - Parameter repeated: the volumes that both lists have more than once. Another volume may be on two pages,
    ///   because volumes came or went between them (CSI specification, ListVolumes: no consistent view).
    private mutating func examineEntries(
        of list: ListRecording,
        _ generation: Generation,
        repeated: Set<String>
    ) {
        var seen: Set<String> = []
        for page in list.pages {
            guard let volumes = page.reply?.volumes, !volumes.isEmpty else { continue }
            for check in [Check.entryID, .listedOnce] { examine(check, page) }
            if generation == .legacy { examine(.entryCondition, page) }
            var seenOnPage: Set<String> = []
            for (index, volume) in zip(volumes.indices, volumes) {
                if volume.id.isEmpty {
                    examine(.entryID, page, "entry \(index + 1) has no volume_id")
                } else if !seenOnPage.insert(volume.id).inserted
                    || !seen.insert(volume.id).inserted && repeated.contains(volume.id)
                {
                    examine(.listedOnce, page, "volume \(excerpt(volume.id)) is listed twice")
                }
                if volume.health == nil {
                    examine(.entryCondition, page, "the entry of volume \(excerpt(volume.id)) has no volume_condition")
                }
                examineHealth(volume, page)
            }
        }
    }

    /// Pages of a list have no consistent view, and volumes come and go: lists are compared if the lists without a
    /// maximum before and after have the same volumes. That a list of one page lacks a volume that both have is a
    /// deviation in any case: it lacks a next_token.
    private mutating func comparePages(_ service: ServiceRecording) {
        guard service.fullLists.count == 2, service.fullLists.allSatisfy(\.isComplete) else { return }
        let (first, second) = (Set(service.fullLists[0].ids), Set(service.fullLists[1].ids))
        let always = first.intersection(second)
        guard always.count > 1 else { return }
        for list in service.pagedLists where list.isComplete && (first == second || list.pages.count == 1) {
            guard let last = list.pages.last else { continue }
            let ids = Set(list.ids)
            let missing = always.subtracting(ids)
            let pages = list.pages.count
            let name = "the list with max_entries=\(list.maxEntries), of \(pages) page\(pages == 1 ? "" : "s"),"
            var problem: String?
            if let example = missing.min() {
                problem = "\(name) lacks \(missing.count) of \(always.count) volumes, such as \(excerpt(example))"
            } else if first == second, let example = ids.subtracting(first).min() {
                problem = "\(name) has the volume \(excerpt(example)), which a list without max_entries lacks"
            }
            examine(.sameVolumes, last, problem)
        }
    }

    private mutating func compareOrder(_ service: ServiceRecording) {
        guard service.fullLists.count == 2, service.fullLists.allSatisfy(\.isComplete) else { return }
        let (first, second) = (service.fullLists[0].ids, service.fullLists[1].ids)
        let common = Set(first).intersection(second)
        guard common.count > 1, let last = service.fullLists[1].pages.last else { return }
        // By the first entry of each volume: pages may repeat volumes.
        func order(_ ids: [String]) -> [String] {
            var seen: Set<String> = []
            return ids.filter { common.contains($0) && seen.insert($0).inserted }
        }
        let isSame = order(first) == order(second)
        examine(.stableOrder, last, isSame ? nil : "the second list has the volumes in another order")
    }
}

extension [ListRecording] {
    /// The ids that each of at least two lists has more than once.
    fileprivate var repeatedIDs: Set<String> {
        guard count > 1, allSatisfy(\.isComplete) else { return [] }
        let repeated = map { list in
            Set(Dictionary(grouping: list.ids) { $0 }.filter { $0.value.count > 1 }.keys)
        }
        return repeated.dropFirst().reduce(repeated[0]) { $0.intersection($1) }
    }
}

/// How far a list is read.
enum ListBounds {
    /// This many pages in a row without a new volume make an endless list. A driver that lists only unhealthy volumes
    /// may return many empty pages.
    static let pagesWithoutNewVolume = 1000
    /// The most pages of a list with a maximum: a list of many volumes has too many pages of one.
    static let pagedPages = 500
    /// Enough for 100,000 volumes, one on each page.
    static let pages = 100_000
    /// The time for a list without a maximum, in timeouts of one call.
    static let timeouts = 20
}

/// Bounds the time of many calls, so that a check of a slow driver ends.
struct CallBudget: Sendable {
    private var left: Duration

    init(_ timeout: Duration, calls: Int) {
        left = timeout * calls
    }

    var isSpent: Bool { left <= .zero }

    mutating func spend(_ duration: Duration) {
        left -= duration
    }
}
