// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A priority queue of things that become due: earliest first, and in the order of their insertion among equals.
///
/// A binary heap. An element cannot be taken out of the middle: whoever changes his mind remembers the ticket that
/// counts and passes over the others when they come up.
struct DueQueue<Element: Sendable>: Sendable {
    /// Unique among the items of a queue.
    typealias Ticket = UInt32

    struct Item: Sendable {
        fileprivate var compactDue: CompactDuration
        /// Rising, and again from 0 on after four billion items.
        var ticket: Ticket
        var element: Element

        /// In whole nanoseconds, rounded down.
        var due: Duration { compactDue.duration }

        func precedes(_ other: Item) -> Bool {
            if compactDue != other.compactDue { return compactDue < other.compactDue }
            return Int32(bitPattern: ticket &- other.ticket) < 0
        }
    }

    private var heap: [Item] = []
    /// How many items there were so far.
    var insertions: UInt64 = 0

    var first: Item? { heap.first }

    var count: Int { heap.count }

    /// Returns the ticket of the new item.
    mutating func insert(_ element: Element, due: Duration) -> Ticket {
        insertions += 1
        let ticket = Ticket(truncatingIfNeeded: insertions)
        insert(Item(compactDue: CompactDuration(due), ticket: ticket, element: element))
        return ticket
    }

    /// Puts in an item that was taken out of another queue, with its ticket.
    mutating func insert(_ item: Item) {
        heap.append(item)
        var child = heap.count - 1
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the first item out if it is due.
    mutating func removeFirst(dueBy now: Duration) -> Item? {
        guard let first, first.due <= now else { return nil }
        removeFirst()
        return first
    }

    mutating func removeFirst() {
        guard let last = heap.popLast() else { return }
        if heap.isEmpty {
            // A wave has passed: its memory goes back.
            heap = []
            return
        }
        heap[0] = last
        var parent = 0
        while true {
            var least = 2 * parent + 1
            if least + 1 < heap.count, heap[least + 1].precedes(heap[least]) { least += 1 }
            guard least < heap.count, heap[least].precedes(heap[parent]) else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
