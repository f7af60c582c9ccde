// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// What is reported about a volume or the storage.
extension Findings {
    mutating func examineHealth<Reply>(_ volume: VolumeReply, _ exchange: Exchange<Reply>) {
        let name = "volume \(excerpt(volume.id))"
        switch volume.health {
        case nil: break
        case .condition(let isAbnormal, let message):
            examine(.abnormalMessage, exchange, isAbnormal && message.isEmpty ? "\(name) has no message" : nil)
            examineMessage(message, of: name, exchange)
        case .statuses(let entries):
            var pairs: Set<HealthEntry> = []
            for entry in entries {
                examineEntry(entry, of: name, knownStatuses: 3, exchange)
                var pair = entry
                pair.message = ""
                let isNew = pairs.insert(pair).inserted
                examine(.uniquePairs, exchange, isNew ? nil : "\(name) has \(entry.pair) twice")
            }
        }
    }

    /// - Parameter knownStatuses: the greatest known number.
    private mutating func examineEntry<Reply>(
        _ entry: HealthEntry,
        of name: String,
        knownStatuses: Int,
        _ exchange: Exchange<Reply>
    ) {
        examine(.statusSet, exchange, entry.status == 0 ? "\(name) has an entry without a status" : nil)
        let isKnown = (0...knownStatuses).contains(entry.status)
        examine(.knownStatus, exchange, isKnown ? nil : "\(name) has the status \(entry.status)")
        examine(.reasonSet, exchange, entry.reason.isEmpty ? "\(name) has an entry without a reason" : nil)
        if !entry.reason.isEmpty {
            let isCamelCase = Self.isCamelCase(entry.reason)
            examine(.camelCase, exchange, isCamelCase ? nil : "\(name) has the reason \(excerpt(entry.reason))")
        }
        let length = entry.reason.utf8.count
        examine(
            .reasonSize,
            exchange,
            length > VolumeHealthCondition.maximumReasonBytes ? "\(name) has a reason of \(length) bytes" : nil
        )
        examineMessage(entry.message, of: name, exchange)
    }

    private mutating func examineMessage<Reply>(_ message: String, of name: String, _ exchange: Exchange<Reply>) {
        let length = message.utf8.count
        let isTooLong = length > VolumeHealthCondition.maximumMessageBytes
        examine(.messageSize, exchange, isTooLong ? "\(name) has a message of \(length) bytes" : nil)
    }

    /// Letters and digits, beginning with an uppercase letter.
    static func isCamelCase(_ reason: String) -> Bool {
        guard let first = reason.unicodeScalars.first, ("A"..."Z").contains(first) else { return false }
        return reason.unicodeScalars.allSatisfy { $0.isASCIILetter || $0.isASCIIDigit }
    }

    mutating func examineStorageHealth(_ exchange: Exchange<[HealthEntry]>?) {
        guard let exchange else { return }
        examineCall(exchange)
        guard let entries = exchange.reply else { return }
        examine(.storageHealth, exchange)
        var pairs: Set<HealthEntry> = []
        for entry in entries {
            examineEntry(entry, of: "the storage", knownStatuses: 2, exchange)
            var pair = entry
            pair.message = ""
            if !pairs.insert(pair).inserted { examine(.storageHealth, exchange, "\(entry.pair) is reported twice") }
        }
    }

    // MARK: Messages of two responses

    mutating func compareMessages(_ get: GetRecording) {
        guard let second = get.second, let before = get.first.reply?.volume.health,
            let after = second.reply?.volume.health
        else { return }
        compare(before, after, of: get.id, second)
    }

    mutating func compareMessages(_ lists: [ListRecording]) {
        guard lists.count == 2, lists.allSatisfy(\.isComplete) else { return }
        let before = Dictionary(lists[0].volumes.map { ($0.id, $0.health) }) { first, _ in first }
        var seen: Set<String> = []
        for page in lists[1].pages {
            for volume in page.reply?.volumes ?? [] where seen.insert(volume.id).inserted {
                guard let earlier = before[volume.id] ?? nil, let later = volume.health else { continue }
                compare(earlier, later, of: volume.id, page)
            }
        }
    }

    /// The messages of what both responses report.
    private mutating func compare<Reply>(
        _ before: VolumeReply.Health,
        _ after: VolumeReply.Health,
        of id: String,
        _ exchange: Exchange<Reply>
    ) {
        compareOrder(before, after, of: id, exchange)
        let (earlier, later) = (before.messages, after.messages)
        for (pair, message) in later {
            guard let old = earlier[pair] else { continue }
            let problem = "volume \(excerpt(id)) had the message \(excerpt(old)), and now \(excerpt(message))"
            examine(.stableMessage, exchange, old == message ? nil : problem)
        }
    }
}

extension Findings {
    /// The order of the entries that both responses have, if they have the same ones.
    private mutating func compareOrder<Reply>(
        _ before: VolumeReply.Health,
        _ after: VolumeReply.Health,
        of id: String,
        _ exchange: Exchange<Reply>
    ) {
        guard case .statuses(let earlier) = before, case .statuses(let later) = after else { return }
        let (old, new) = (earlier.map(\.pair), later.map(\.pair))
        guard old.count > 1, old.sorted() == new.sorted() else { return }
        examine(.stableOrder, exchange, old == new ? nil : "volume \(excerpt(id)) has its entries in another order")
    }
}

extension HealthEntry {
    fileprivate var pair: String { "(\(status), \(excerpt(reason)))" }
}

extension VolumeReply.Health {
    /// The message of each problem; the first one, if the driver reports one twice.
    fileprivate var messages: [String: String] {
        switch self {
        case .condition(let isAbnormal, let message): isAbnormal ? ["abnormal": message] : [:]
        case .statuses(let entries):
            Dictionary(entries.map { ("\($0.status) \($0.reason)", $0.message) }) { first, _ in first }
        }
    }
}
