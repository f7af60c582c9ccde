// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct DueQueueTests {
    @Test(arguments: 0..<50 as Range<UInt64>)
    func `elements come out by due time, then in order of insertion`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = DueQueue<Int>()
        var expected: [(due: Duration, element: Int)] = []
        for element in 0..<Int.random(in: 0...100, using: &random) {
            let due = Duration.seconds(Int.random(in: 0...10, using: &random))
            _ = queue.insert(element, due: due)
            expected.append((due, element))
        }
        expected.sort { $0.due != $1.due ? $0.due < $1.due : $0.element < $1.element }

        var order: [Int] = []
        while let item = queue.first {
            order.append(item.element)
            queue.removeFirst()
        }
        #expect(order == expected.map(\.element))
        queue.removeFirst()
        #expect(queue.first == nil)
    }

    @Test func `the items that are kept stay in order`() {
        var queue = DueQueue<Int>()
        for element in 0..<100 { _ = queue.insert(element, due: .seconds(element % 7)) }
        queue.keep { $0.element < 10 }
        #expect(queue.count == 10)
        var order: [Int] = []
        while let item = queue.removeFirst(dueBy: .seconds(7)) { order.append(item.element) }
        #expect(order == [0, 7, 1, 8, 2, 9, 3, 4, 5, 6])
    }
}
