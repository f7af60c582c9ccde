// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension ReportQueue {
    /// Puts the transitions that are due into the order of their ranks, the lowest first, those of equal rank in the
    /// order in which their states began.
    ///
    /// The transitions exchange their places in the queue, so none becomes due earlier or later than one of them was,
    /// and later transitions follow behind. Those in back-off and those that wait for their namespace keep their places.
    /// O(n log n), for the few moments in which many reports become due at once: a priority in every item would cost
    /// memory for each volume, and time for each report.
    package mutating func orderDueTransitions(at now: Duration, by rank: (State) -> Int) {
        var places: [DueQueue<Key>.Item] = []
        var ranked: [(rank: Int, since: Duration, place: Int)] = []
        while let item = queues.removeFirst(.transition, dueBy: now) {
            // Stale items are dropped.
            guard let entry = entries[item.element], let state = entry.current,
                entry.scheduled == Scheduled(due: item.due, ticket: item.ticket, cause: .transition)
            else { continue }
            ranked.append((rank(state), entry.since, places.count))
            places.append(item)
        }
        ranked.sort { ($0.rank, $0.since, $0.place) < ($1.rank, $1.since, $1.place) }
        for (place, ranked) in zip(places, ranked) {
            let key = places[ranked.place].element
            queues.insert(DueQueue.Item(due: place.due, ticket: place.ticket, element: key), .transition)
            entries[key]?.scheduled = Scheduled(due: place.due, ticket: place.ticket, cause: .transition)
        }
    }
}
