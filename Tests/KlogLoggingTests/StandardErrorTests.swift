// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import KlogLogging

@Suite(.timeLimit(.minutes(50))) struct StandardErrorTests {
    /// More than a pipe takes in one write(2).
    private static let length = 200_000

    @Test func `lines of several threads do not interleave`() throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        let writers = DispatchGroup()
        for letter in "abcd" {
            writers.enter()
            // Threads, because the writes block until the pipe is read.
            Thread.detachNewThread {
                for _ in 0..<3 {
                    StandardError.write(
                        Array(repeatElement(letter.asciiValue!, count: Self.length)) + [0x0A],
                        to: descriptor
                    )
                }
                writers.leave()
            }
        }
        writers.notify(queue: .global()) { try? pipe.fileHandleForWriting.close() }
        let output = try #require(try pipe.fileHandleForReading.readToEnd())
        let lines = output.split(separator: 0x0A)
        #expect(lines.count == 12)
        #expect(lines.allSatisfy { $0.count == Self.length && Set($0).count == 1 })
    }

    @Test func `a line for a closed descriptor is dropped`() {
        // It must return instead of retrying.
        StandardError.write([0x0A], to: -1)
        #expect(errno == EBADF)
    }
}
