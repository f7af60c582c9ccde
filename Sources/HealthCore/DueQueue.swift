// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HeapModule

/// A priority queue of elements that become due: the earliest first, equal ones in the order of their insertion.
///
/// An item cannot be removed from the middle. To reschedule an element, the caller inserts it again, remembers the
/// ticket of the new item, and skips items with other tickets when they come up.
package struct DueQueue<Element: Sendable>: Sendable {
    /// Unique among the items of a queue, and increasing.
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
    /// How many items the queue has created.
    package private(set) var insertions: UInt64 = 0

    package init() {}

    package var first: Item? { heap.min }

    package var count: Int { heap.count }

    /// Inserts an element and returns the ticket of its item.
    package mutating func insert(_ element: Element, due: Duration) -> Ticket {
        insertions += 1
        insert(Item(due: due, ticket: insertions, element: element))
        return insertions
    }

    /// Inserts an item that was removed from another queue, with its ticket.
    package mutating func insert(_ item: Item) {
        heap.insert(item)
    }

    /// Removes and returns the first item if it is due.
    package mutating func removeFirst(dueBy now: Duration) -> Item? {
        guard let first, first.due <= now else { return nil }
        removeFirst()
        return first
    }

    /// Removes all items but these. O(n).
    package mutating func keep(_ isKept: (Item) -> Bool) {
        heap = Heap(heap.unordered.filter(isKept))
    }

    package mutating func removeFirst() {
        _ = heap.popMin()
        // Frees the memory that an outage took.
        if heap.isEmpty { heap = Heap() }
    }
}
