// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HeapModule

/// A priority queue of things that become due: earliest first, and in the order of their insertion among equals.
///
/// An element cannot be taken out of the middle: the caller remembers the ticket that counts, and skips the items with other
/// tickets when they come up.
package struct DueQueue<Element: Sendable>: Sendable {
    /// Unique among the items of a queue, and rising.
    package typealias Ticket = UInt64

    package struct Item: Sendable, Comparable {
        package var due: Duration
        package var ticket: Ticket
        package var element: Element

        package static func == (left: Self, right: Self) -> Bool {
            left.due == right.due && left.ticket == right.ticket
        }

        package static func < (left: Self, right: Self) -> Bool {
            (left.due, left.ticket) < (right.due, right.ticket)
        }
    }

    private var heap = Heap<Item>()
    /// How many items were made so far.
    package private(set) var insertions: UInt64 = 0

    package init() {}

    package var first: Item? { heap.min }

    package var count: Int { heap.count }

    /// Returns the ticket of the new item.
    package mutating func insert(_ element: Element, due: Duration) -> Ticket {
        insertions += 1
        insert(Item(due: due, ticket: insertions, element: element))
        return insertions
    }

    /// Puts in an item that was taken out of another queue, with its ticket.
    package mutating func insert(_ item: Item) {
        heap.insert(item)
    }

    /// Takes the first item out if it is due.
    package mutating func removeFirst(dueBy now: Duration) -> Item? {
        guard let first, first.due <= now else { return nil }
        removeFirst()
        return first
    }

    package mutating func removeFirst() {
        _ = heap.popMin()
        // After an outage the memory goes back.
        if heap.isEmpty { heap = Heap() }
    }
}
