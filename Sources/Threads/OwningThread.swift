// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// The thread on which an object was made, and the only one that may use it.
package struct OwningThread: Sendable {
    private let thread = pthread_self()

    /// Makes the current thread the owner.
    package init() {}

    /// Traps on any other thread, in release builds too.
    package func preconditionIsCurrent(file: StaticString = #fileID, line: UInt = #line) {
        precondition(
            pthread_equal(thread, pthread_self()) != 0,
            "used outside the thread that made it",
            file: file,
            line: line
        )
    }
}
