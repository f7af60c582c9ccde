// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// A driver's list, page by page; each page is asked for when it is wanted, and has the client's timeout to itself.
///
/// The pages are no snapshot: something may be missing or come twice. A list that ends without an error is complete.
/// When the driver answers ABORTED, its token has expired: the list starts over, once, and everything comes again.
///
/// To be iterated once. It throws the first failed call's ``CSIError``, or one with ``CSIError/Code/invalidResponse``
/// where the list would never end: when the driver gives the same `next_token` twice, or more pages than any list has
/// (``DriverPages/maximumPages``). Nothing comes after an error.
public struct DriverPages<Item: Sendable>: AsyncSequence, Sendable {
    /// A page; it may be empty.
    public typealias Element = [Item]
    /// What a call throws.
    public typealias Failure = CSIError

    struct Page {
        var items: [Item]
        /// Empty: this is the last page.
        var nextToken: String
    }

    /// A list of 100,000 volumes, one on each page, has an end.
    static var maximumPages: Int { 100_000 }

    let method: String
    /// How many pages the list may have.
    var limit = maximumPages
    /// Asks for the page that begins at a token; an empty one begins the list.
    let page: @Sendable (_ startingToken: String) async throws(CSIError) -> Page

    /// A list of its own, from the first page.
    public func makeAsyncIterator() -> Iterator {
        Iterator(pages: self)
    }

    /// Asks for one page at a time.
    public struct Iterator: AsyncIteratorProtocol {
        private let pages: DriverPages
        /// The token of the next page; nil when there is none.
        private var token: String? = ""
        /// By their hashes: a token may be long, and there may be many. Two tokens with one hash would end a list with an
        /// error, once in some billions of lists of a million pages.
        private var tokensSeen: Set<Int> = []
        private var mayStartOver = true

        init(pages: DriverPages) {
            self.pages = pages
        }

        /// The next page, nil after the last one and after an error.
        public mutating func next() async throws(CSIError) -> [Item]? {
            guard let token else { return nil }
            self.token = nil
            let page: Page
            do {
                page = try await pages.page(token)
            } catch  where error.code == .status(.aborted) && !token.isEmpty && mayStartOver {
                mayStartOver = false
                tokensSeen = []
                page = try await pages.page("")
            }
            if page.nextToken.isEmpty { return page.items }
            guard tokensSeen.insert(page.nextToken.hashValue).inserted else {
                throw endless(
                    "the driver gave next_token \"\(excerpt(page.nextToken))\" twice: its list would never end"
                )
            }
            guard tokensSeen.count < pages.limit else {
                throw endless("the driver's list has no end after \(pages.limit) pages")
            }
            self.token = page.nextToken
            return page.items
        }

        private func endless(_ message: String) -> CSIError {
            CSIError(code: .invalidResponse, method: pages.method, message: message)
        }
    }
}
