// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// A driver's list, page by page. Each page is a call of its own with the client's timeout, made when the iterator
/// needs it. Every iterator starts a new list.
///
/// A list that ends without an error is complete, but not a snapshot: a volume that is created or deleted meanwhile may
/// be left out, and any volume may be returned twice. ABORTED means that a token has expired: the list starts over,
/// once, and returns all its volumes again.
///
/// An iterator throws the ``CSIError`` of the first failed call, for a cancelled one with the status Cancelled, or
/// ``CSIError/Code/invalidResponse`` if the list would not end: the driver returns the same `next_token` twice, or more
/// than ``DriverPages/maximumPages`` pages. After an error the iterator returns nil.
package struct DriverPages<Item: DriverListItem>: AsyncSequence, Sendable {
    /// The items of a page, or of a part of a large one; may be empty.
    package typealias Element = [Item]
    package typealias Failure = CSIError

    /// Enough for 100,000 volumes, one on each page.
    static var maximumPages: Int { 100_000 }

    /// The full name of the RPC, for errors.
    let method: String
    /// The most pages that the list may have.
    var limit = maximumPages
    /// Calls for the page that begins at a token; the empty token begins the list.
    let page: @Sendable (_ startingToken: String) async throws(CSIError) -> DriverPage<Item>
    /// Returns the items of a part of a page, and logs which entries were skipped.
    let items: @Sendable (DriverPage<Item>.Part) -> [Item]

    package func makeAsyncIterator() -> Iterator {
        Iterator(pages: self)
    }

    package struct Iterator: AsyncIteratorProtocol {
        private let pages: DriverPages
        /// The current page; its first parts may have been returned.
        private var page: DriverPage<Item>?
        /// The token of the next page; nil after the last one.
        private var token: String? = ""
        /// Hashes, because tokens may be long and many. A list fails if two of its tokens have the same hash, which
        /// happens in one of billions of lists of 100,000 pages.
        private var tokensSeen: Set<Int> = []
        private var mayStartOver = true

        init(pages: DriverPages) {
            self.pages = pages
        }

        /// The next page or part of one; nil after the last one and after an error.
        package mutating func next() async throws(CSIError) -> [Item]? {
            do {
                while true {
                    if let part = try page?.next() { return pages.items(part) }
                    guard let token else { return nil }
                    self.token = nil
                    let page = try await page(from: token)
                    if !page.nextToken.isEmpty { self.token = try unseen(page.nextToken) }
                    self.page = page
                }
            } catch {
                page = nil
                token = nil
                throw error
            }
        }

        private mutating func page(from token: String) async throws(CSIError) -> DriverPage<Item> {
            do {
                return try await pages.page(token)
            } catch  where error.code == .status(.aborted) && !token.isEmpty && mayStartOver {
                mayStartOver = false
                tokensSeen = []
                return try await pages.page("")
            }
        }

        private mutating func unseen(_ token: String) throws(CSIError) -> String {
            guard tokensSeen.insert(token.hashValue).inserted else {
                // Without the token: a driver may put a secret of the request into it.
                throw endless("the driver returned the same next_token twice: the list would not end")
            }
            guard tokensSeen.count < pages.limit else {
                throw endless("the list has more than \(pages.limit) pages")
            }
            return token
        }

        private func endless(_ message: String) -> CSIError {
            CSIError(code: .invalidResponse, method: pages.method, message: message)
        }
    }
}
