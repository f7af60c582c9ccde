// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A page of a list.
struct ObjectPage: Sendable {
    let objects: [StoredObject]
    /// The same for all pages of a list.
    let revision: Int64
    /// For the next page; nil on the last one.
    let token: String?
    /// nil for lists with a selector, as in the real server.
    let remainingCount: Int?
}

/// Lists that clients have not read to the end: all pages of a list are of the same revision.
struct PageSnapshots: Sendable {
    private struct Snapshot {
        let objects: [StoredObject]
        let revision: Int64
        let isSelection: Bool
    }

    /// Beyond it the oldest is dropped: its client has probably given up.
    private static let capacity = 64

    private var snapshots: [Int: Snapshot] = [:]
    private var nextNumber = 0

    mutating func firstPage(of objects: [StoredObject], revision: Int64, limit: Int, isSelection: Bool) -> ObjectPage {
        let snapshot = Snapshot(objects: objects, revision: revision, isSelection: isSelection)
        if limit > 0, limit < objects.count {
            nextNumber += 1
            snapshots[nextNumber] = snapshot
            snapshots[nextNumber - Self.capacity] = nil
        }
        return Self.page(of: snapshot, number: nextNumber, start: 0, limit: limit)
    }

    func nextPage(token: String, limit: Int) throws(StatusError) -> ObjectPage {
        let text = Data(base64Encoded: token).flatMap { String(data: $0, encoding: .utf8) } ?? ""
        let numbers = text.split(separator: ":").compactMap { Int($0) }
        guard numbers.count == 2 else { throw .badRequest("continue key is not valid: \(token)") }
        guard let snapshot = snapshots[numbers[0]], snapshot.objects.indices.contains(numbers[1]) else {
            throw .continueTokenExpired
        }
        return Self.page(of: snapshot, number: numbers[0], start: numbers[1], limit: limit)
    }

    mutating func removeAll() {
        snapshots = [:]
    }

    private static func page(of snapshot: Snapshot, number: Int, start: Int, limit: Int) -> ObjectPage {
        let end = limit > 0 ? min(start + limit, snapshot.objects.count) : snapshot.objects.count
        let remaining = snapshot.objects.count - end
        return ObjectPage(
            objects: Array(snapshot.objects[start..<end]),
            revision: snapshot.revision,
            token: remaining > 0 ? Data("\(number):\(end)".utf8).base64EncodedString() : nil,
            remainingCount: remaining > 0 && !snapshot.isSelection ? remaining : nil
        )
    }
}
